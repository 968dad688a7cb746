"""Code that hands a model its inputs and takes its outputs: ByteBuffers in Java and Kotlin, Python, TFLM in C."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from tflite_surgeon.quantization import is_usable_scale
from tflite_surgeon.report.names import printable
from tflite_surgeon.views.inputs_outputs import Interface, Port
from tflite_surgeon.views.tensors import INTEGER_LIMITS

_NUMPY: Final = {
    **{name: f"np.{name.lower()}" for name in ("FLOAT32", "FLOAT16", "FLOAT64", "COMPLEX64", "COMPLEX128")},
    **{f"{sign}{bits}": f"np.{sign.lower()}{bits}" for sign in ("INT", "UINT") for bits in (8, 16, 32, 64)},
    "BOOL": "np.bool_",
}
# How a ByteBuffer takes and gives a value: put, get, and the cast that put wants. Source: DataType.java.
_JAVA: Final = {
    "FLOAT32": ("putFloat", "getFloat", "float"),
    "INT32": ("putInt", "getInt", "int"),
    "INT64": ("putLong", "getLong", "long"),
    "INT16": ("putShort", "getShort", "short"),
    "INT8": ("put", "get", "byte"),
    "UINT8": ("put", "get", "byte"),
    "BOOL": ("put", "get", "byte"),
}
# The type of TFLM's pointer to a tensor's data. Source: tflite::GetTensorData and TfLitePtrUnion.
_C: Final = {
    "FLOAT32": "float",
    "BOOL": "bool",
    **{f"{sign}{bits}": f"{sign.lower()}{bits}_t" for sign in ("INT", "UINT") for bits in (8, 16, 32, 64)},
}
_QUANTIZED: Final = ("INT8", "UINT8", "INT16")
_LONGEST_NAME: Final = 50


def snippet(language: str, interface: Interface, file: str) -> str:
    """Code that calls the model once.

    Args:
        language: one of LANGUAGES.
        interface: its inputs and outputs.
        file: the model's file name, as the code shall open it.
    """
    return "\n".join(_WRITERS[language](interface, file))


def _note(port: Port) -> str:
    """Such as "'x': FLOAT32 [1, 100, 100, 3], 120000 bytes"."""
    if port.type is None:
        return f"tensor {port.index}, which is not there"
    shape = port.shape_signature if port.is_open else port.shape
    size = "" if port.bytes_of_shape is None else f", {port.bytes_of_shape} bytes"
    # A comment that ends in a backslash would take in the next line of C.
    name = printable(port.name, _LONGEST_NAME).replace("\\", "/")
    return f"'{name}': {port.type} {shape}{size}"


def _affine(port: Port) -> tuple[float, int] | None:
    """The only scale and its zero point, where code has to convert; None for floats and whole numbers."""
    if len(port.scales) != 1 or port.type not in _QUANTIZED or not is_usable_scale(port.scales[0]):
        return None
    return port.scales[0], port.zero_points[0]


def _minus(zero: int) -> str:
    return "" if zero == 0 else f" - {zero}" if zero > 0 else f" + {-zero}"


def _plus(zero: int) -> str:
    return _minus(-zero)


def _number(value: float) -> str:
    return f"{value:.9g}"


def _sizes(port: Port) -> list[int]:
    """The shape to allocate: open dimensions as 1."""
    return [max(side, 1) if open_side < 0 else side for side, open_side in zip(port.shape, _signature(port))]


def _signature(port: Port) -> Sequence[int]:
    return port.shape_signature if len(port.shape_signature) == len(port.shape) else port.shape


# Python


def _python(interface: Interface, file: str) -> list[str]:
    lines = [
        "import numpy as np",
        "from ai_edge_litert.interpreter import Interpreter",
        "",
        f"interpreter = Interpreter(model_path={file!a})",
    ]
    for port in interface.inputs:
        if port.is_open:
            lines.append(f"interpreter.resize_tensor_input({port.index}, {_sizes(port)})  # -1 is open")
    lines.append("interpreter.allocate_tensors()")
    for number, port in enumerate(interface.inputs):
        lines += ["", f"# input {number}, {_note(port)}", *_python_input(number, port)]
    lines += ["", "interpreter.invoke()"]
    for number, port in enumerate(interface.outputs):
        lines += ["", f"# output {number}, {_note(port)}", f"output_{number} = interpreter.get_tensor({port.index})"]
        found = _affine(port)
        if found is not None:
            scale, zero = found
            lines.append(
                f"real_{number} = (output_{number}.astype(np.float32){_minus(zero)}) * {_number(scale)}"
                if zero
                else f"real_{number} = output_{number}.astype(np.float32) * {_number(scale)}"
            )
    return lines


def _python_input(number: int, port: Port) -> list[str]:
    shape = tuple(_sizes(port))
    if port.type == "STRING":
        made = f"np.full({shape}, b'text', object)"
    elif port.type not in _NUMPY:
        return [f"# {port.type}: numpy has no such type"]
    elif (found := _affine(port)) is not None:
        scale, zero = found
        low, high = INTEGER_LIMITS[port.type]
        kind = _NUMPY[port.type]
        quantized = f"np.round(values_{number} / {_number(scale)}){_plus(zero)}"
        return [
            f"values_{number} = np.zeros({shape}, np.float32)  # real values",
            f"input_{number} = np.clip({quantized}, {low}, {high}).astype({kind})",
            f"interpreter.set_tensor({port.index}, input_{number})",
        ]
    else:
        made = f"np.zeros({shape}, {_NUMPY[port.type]})"
    return [f"input_{number} = {made}", f"interpreter.set_tensor({port.index}, input_{number})"]


# Java and Kotlin


def _java(interface: Interface, file: str) -> list[str]:
    return _jvm(interface, kotlin=False)


def _kotlin(interface: Interface, file: str) -> list[str]:
    return _jvm(interface, kotlin=True)


def _jvm(interface: Interface, kotlin: bool) -> list[str]:
    end = "" if kotlin else ";"
    lines = []
    for number, port in enumerate(interface.inputs):
        lines.append(f"// input {number}, {_note(port)}")
        if port.is_open:
            sizes = ", ".join(map(str, _sizes(port)))
            made = f"intArrayOf({sizes})" if kotlin else f"new int[] {{{sizes}}}"
            lines.append(f"interpreter.resizeInput({number}, {made}){end}  // -1 is open")
        lines += _jvm_buffer(f"input{number}", port, kotlin)
        if port.type in _JAVA:
            lines += _jvm_put(number, port, kotlin)
    for number, port in enumerate(interface.outputs):
        lines += [f"// output {number}, {_note(port)}", *_jvm_buffer(f"output{number}", port, kotlin)]
    inputs = ", ".join(f"input{number}" for number in range(len(interface.inputs)))
    outputs = range(len(interface.outputs))
    if kotlin:
        pairs = ", ".join(f"{number} to output{number}" for number in outputs)
        lines.append(f"val outputs = mapOf<Int, Any>({pairs})")
        lines.append(f"interpreter.runForMultipleInputsOutputs(arrayOf<Any>({inputs}), outputs)")
    else:
        lines.append("Map<Integer, Object> outputs = new HashMap<>();")
        lines += [f"outputs.put({number}, output{number});" for number in outputs]
        lines.append(f"Object[] inputs = {{{inputs}}};")
        lines.append("interpreter.runForMultipleInputsOutputs(inputs, outputs);")
    for number, port in enumerate(interface.outputs):
        if port.type in _JAVA:
            lines += _jvm_get(number, port, kotlin)
    return lines


def _jvm_buffer(name: str, port: Port, kotlin: bool) -> list[str]:
    if port.type == "STRING":
        count = port.values or 1
        return [f'val {name} = Array({count}) {{ "" }}' if kotlin else f"String[] {name} = new String[{count}];"]
    if port.type not in _JAVA or not port.value_bits:
        none = f"val {name}: Any = TODO()" if kotlin else f"Object {name} = null;"
        return [f"{none}  // {port.type}: the Java API has no such type"]
    size = port.value_bits // 8
    for side in _sizes(port):
        size *= side
    made = f"ByteBuffer.allocateDirect({size})"
    order = ".order(ByteOrder.nativeOrder())"
    if kotlin:
        return [f"val {name} = {made}", f"    {order}"]
    return [f"ByteBuffer {name} = {made}", f"    {order};"]


def _jvm_put(number: int, port: Port, kotlin: bool) -> list[str]:
    put, _, kind = _JAVA[str(port.type)]
    found = _affine(port)
    if found is None:
        if kotlin:
            return [f"for (value in values{number}) input{number}.{put}(value)  // {kind}s"]
        return [f"for ({kind} value : values{number}) input{number}.{put}(value);"]
    scale, zero = found
    low, high = INTEGER_LIMITS[str(port.type)]
    integer = f"Math.round(real / {_number(scale)}f){_plus(zero)}"
    if kotlin:
        return [
            f"for (real in values{number}) {{  // floats",
            f"    val q = {integer}",
            f"    input{number}.{put}(q.coerceIn({low}, {high}).to{kind.capitalize()}())",
            "}",
        ]
    return [
        f"for (float real : values{number}) {{",
        f"    int q = {integer};",
        f"    input{number}.{put}(({kind}) Math.max({low}, Math.min({high}, q)));",
        "}",
    ]


def _jvm_get(number: int, port: Port, kotlin: bool) -> list[str]:
    _, get, kind = _JAVA[str(port.type)]
    end = "" if kotlin else ";"
    if kind == "byte" and port.type == "UINT8":
        value = f"(output{number}.get().toInt() and 0xff)" if kotlin else f"(output{number}.get() & 0xff)"
    else:
        value = f"output{number}.{get}()"
    found = _affine(port)
    if found is not None:
        scale, zero = found
        value = f"({value}{_minus(zero)}) * {_number(scale)}f" if zero else f"{value} * {_number(scale)}f"
        kind = "float"
    elif port.type == "UINT8":
        kind = "int"
    first = f"val first{number} = {value}" if kotlin else f"{kind} first{number} = {value};"
    return [f"output{number}.rewind(){end}", f"{first}  // and so on"]


# C++ with TFLM, which is what microcontrollers run


def _c(interface: Interface, file: str) -> list[str]:
    lines = []
    for number, port in enumerate(interface.inputs):
        lines += [f"// input {number}, {_note(port)}", *_c_input(number, port)]
    lines.append("if (interpreter.Invoke() != kTfLiteOk) return;")
    for number, port in enumerate(interface.outputs):
        lines.append(f"// output {number}, {_note(port)}")
        kind = _C.get(port.type or "")
        if kind is None:
            lines.append(f"// {port.type}: read interpreter.output({number})->data.raw")
            continue
        lines.append(f"const {kind}* output{number} =")
        lines.append(f"    tflite::GetTensorData<{kind}>(interpreter.output({number}));")
        found = _affine(port)
        if found is not None:
            scale, zero = found
            value = f"(output{number}[0]{_minus(zero)})" if zero else f"output{number}[0]"
            lines.append(f"float first{number} = {value} * {_float(scale)};  // and so on")
    return lines


def _c_input(number: int, port: Port) -> list[str]:
    kind = _C.get(port.type or "")
    if kind is None or port.values is None:
        return [f"// {port.type} {port.shape_signature}: not for TFLM"]
    lines = [f"{kind}* input{number} =", f"    tflite::GetTensorData<{kind}>(interpreter.input({number}));"]
    if port.is_open:
        lines.insert(0, "// TFLM does not resize: the shape is as it stands in the file")
    loop = f"for (int i = 0; i < {port.values}; ++i)"
    found = _affine(port)
    if found is None:
        return [*lines, f"{loop} input{number}[i] = values{number}[i];"]
    scale, zero = found
    low, high = INTEGER_LIMITS[str(port.type)]
    return [
        *lines,
        f"{loop} {{",
        f"    long q = std::lround(values{number}[i] / {_float(scale)}){_plus(zero)};",
        f"    input{number}[i] = std::min(std::max(q, {low}L), {high}L);",
        "}",
    ]


def _float(value: float) -> str:
    text = _number(value)
    return f"{text}f" if any(mark in text for mark in ".en") else f"{text}.0f"


_WRITERS: Final[dict[str, Callable[[Interface, str], list[str]]]] = {
    "python": _python,
    "java": _java,
    "kotlin": _kotlin,
    "c": _c,
}
LANGUAGES: Final = tuple(_WRITERS)
