"""TFLM's kernel of SVDF, a layer with a memory of its inputs. Source: tflite-micro kernels/svdf_common.cc, svdf.cc."""

from __future__ import annotations

from tflite_surgeon.knowledge.kernels.node import KernelNode
from tflite_surgeon.knowledge.kernels.operand import Operand
from tflite_surgeon.knowledge.kernels.registry import micro_kernel
from tflite_surgeon.knowledge.kernels.sayings import INPUT_RANK, NO_INPUT, NO_OUTPUT
from tflite_surgeon.knowledge.micro.layers import c_dim, output
from tflite_surgeon.knowledge.problems import Said
from tflite_surgeon.knowledge.runtimes import TFLM_SVDF_LIMIT
from tflite_surgeon.quantization import float32

_FILE = "svdf_common.cc"
_NAMES = {"feature weights": "weights_feature", "time weights": "weights_time", "state": "activation_state"}
_NOT_GIVEN = {
    "input": NO_INPUT,
    **{role: Said("missing-input", _FILE, f"{name} != nullptr was not true") for role, name in _NAMES.items()},
}
_RANKS = {
    "input": INPUT_RANK,
    "output": Said("tensor-rank", _FILE, "NumDimensions(output) != 2"),
    **{role: Said("tensor-rank", _FILE, f"NumDimensions({name}) != 2") for role, name in _NAMES.items()},
}
_FILTERS = Said("gates", _FILE, "num_filters % rank != 0")
_TYPE = Said("operator-types", _FILE, "input->type == kTfLiteFloat32 {} input->type == kTfLiteInt8 was not true")
_OUTPUT_COUNT = Said("tensor-count", "*", "node->outputs->size != 1")
_INPUT_COUNT = Said("tensor-count", _FILE, "node->inputs->size != 5")
_OUTPUT_SHAPE = (
    Said("output-shape", _FILE, "output->dims->data[0] != batch_size"),
    Said("output-shape", _FILE, "output->dims->data[1] != num_units"),
)
_FEATURE_SIZE = Said("gates", _FILE, "weights_feature->dims->data[1] != input_size")
_TIME_SIZE = Said("gates", _FILE, "weights_time->dims->data[0] != num_filters")
_BIAS_LENGTH = Said("bias-length", _FILE, "bias->dims->data[0] != num_units")
_STATE_SHAPE = (
    Said("state-variable", _FILE, "activation_state->dims->data[0] != batch_size"),
    Said("state-variable", _FILE, "activation_state->dims->data[1] != memory_size * num_filters"),
)
_VARIABLE = Said("state-variable", _FILE, "activation_state->is_variable != true")
_TYPES = {
    ("feature weights", "INT8"): Said("operator-types", _FILE, "weights_feature->type != kTfLiteInt8"),
    ("time weights", "INT8"): Said("operator-types", _FILE, "(weights_time->type == kTfLiteInt16) {} was not true"),
    ("state", "INT8"): Said("operator-types", _FILE, "(activation_state->type == kTfLiteInt16) {} was not true"),
    ("bias", "INT8"): Said("bias-type", _FILE, "bias->type != kTfLiteInt32"),
    ("output", "INT8"): Said("operator-types", _FILE, "output->type != kTfLiteInt8"),
    ("bias", "FLOAT32"): Said("bias-type", _FILE, "bias->type != kTfLiteFloat32"),
    ("output", "FLOAT32"): Said("operator-types", _FILE, "output->type != kTfLiteFloat32"),
    **{
        (role, "FLOAT32"): Said("operator-types", _FILE, f"{name}->type != kTfLiteFloat32")
        for role, name in _NAMES.items()
    },
}
_SIXTEEN_OR_EIGHT = ("INT16", "INT8")
_ALLOWED: dict[str, dict[str, tuple[str, ...]]] = {
    "INT8": {
        "feature weights": ("INT8",),
        "time weights": _SIXTEEN_OR_EIGHT,
        "state": _SIXTEEN_OR_EIGHT,
        "bias": ("INT32",),
        "output": ("INT8",),
    },
    "FLOAT32": dict.fromkeys(("feature weights", "time weights", "state", "bias", "output"), ("FLOAT32",)),
}
_BIAS_SCALE = Said("bias-scale", _FILE, "std::abs(static_cast<double>(bias->params.scale) - {} < 1e-5 was not true")
_OPTIONS = "SVDFOptions"
_POSITIONS = {"input": 0, "feature weights": 1, "time weights": 2, "state": 4}


@micro_kernel("SVDF")
def _svdf(node: KernelNode) -> None:
    given: dict[str, Operand] = {}
    for role, position in _POSITIONS.items():
        operand = node.input(position)
        if operand is None:
            node.refuse(_NOT_GIVEN[role], f"the {role} tensor is not given, the kernel needs it")
            return
        given[role] = operand
    rank = node.option(_OPTIONS, "rank")
    if rank == 0:
        node.crash("option-value", "rank is 0, and the kernel divides by it")
        return
    filters = c_dim(given["feature weights"], 0) or 0
    if filters % rank:
        node.refuse(_FILTERS, f"there are {filters} filters, no multiple of the rank {rank}", given["feature weights"])
    source = given["input"]
    if source.type not in _ALLOWED:
        node.refuse(_TYPE, f"the input is {source.type}, the kernel takes FLOAT32 or INT8", source)
    _check_rank(node, "input", source)
    if len(node.outputs) != 1:
        node.refuse(_OUTPUT_COUNT, f"there are {len(node.outputs)} outputs, the kernel makes 1")
    result = output(node)
    if result is None:
        node.refuse(NO_OUTPUT, "the output is not given, the kernel needs it")
        return
    given["output"] = result
    bias = node.input(3)
    _check_shapes(node, given, bias, filters // rank, filters)
    if not given["state"].is_variable:
        node.refuse(_VARIABLE, "the state is not marked as a variable", given["state"])
    if len(node.inputs) != 5:
        node.refuse(_INPUT_COUNT, f"there are {len(node.inputs)} inputs, the kernel takes 5")
    if bias is not None:
        given["bias"] = bias
    for role, allowed in _ALLOWED.get(source.type, {}).items():
        operand = given.get(role)
        if operand is not None and operand.type not in allowed:
            node.refuse(
                _TYPES[role, source.type],
                f"the {role} tensor is {operand.type}, the kernel takes {' or '.join(allowed)} beside {source.type}",
                operand,
            )
    if bias is None:
        node.crash("bias-missing", "there is no bias, and the kernel reads it without looking")
    elif source.type == "INT8":
        _check_scales(node, given, bias)


def _check_rank(node: KernelNode, role: str, operand: Operand) -> None:
    if operand.rank != 2:
        node.refuse(_RANKS[role], f"the {role} tensor has {operand.rank} dimensions, the kernel takes 2", operand)


def _check_shapes(node: KernelNode, given: dict[str, Operand], bias: Operand | None, units: int, filters: int) -> None:
    """In the kernel's order; what it reads behind a shape that is too short is not known."""
    source, feature, time, state, result = (
        given[role] for role in ("input", "feature weights", "time weights", "state", "output")
    )
    batch, depth, memory = c_dim(source, 0), c_dim(source, 1), c_dim(time, 1) or 0
    _check_rank(node, "output", result)
    _check_dims(node, "output", result, _OUTPUT_SHAPE, [batch, units])
    _check_rank(node, "feature weights", feature)
    if c_dim(feature, 1) != depth:
        node.refuse(_FEATURE_SIZE, f"the feature weights are {feature.shape}, the input has {depth} values", feature)
    _check_rank(node, "time weights", time)
    if c_dim(time, 0) != filters:
        node.refuse(_TIME_SIZE, f"the time weights are {time.shape}, there are {filters} filters", time)
    if bias is not None and c_dim(bias, 0) != units:
        node.refuse(_BIAS_LENGTH, f"the bias has the shape {bias.shape}, there are {units} units", bias)
    _check_rank(node, "state", state)
    _check_dims(node, "state", state, _STATE_SHAPE, [batch, memory * filters])


def _check_dims(
    node: KernelNode, role: str, operand: Operand, sayings: tuple[Said, ...], wanted: list[int | None]
) -> None:
    for axis, said in enumerate(sayings):
        if c_dim(operand, axis) != wanted[axis]:
            node.refuse(said, f"the {role} tensor has the shape {operand.shape}, the kernel takes {wanted}", operand)
            return


def _check_scales(node: KernelNode, given: dict[str, Operand], bias: Operand) -> None:
    unit = float32(given["state"].scale * given["time weights"].scale)
    if not abs(bias.scale - unit) < TFLM_SVDF_LIMIT:
        node.refuse(
            _BIAS_SCALE,
            f"the bias scale is {bias.scale:.9g}, the state scale x time weights scale is {unit:.9g}: the kernel "
            f"allows a difference below {TFLM_SVDF_LIMIT:g}",
            bias,
        )
    for role, operand in given.items():
        if role == "bias":
            continue
        if not operand.is_affine:
            node.wrong(
                "missing-quantization",
                f"the {role} tensor ({operand.type}) lacks scale or zero point, the kernel takes its scale as 0",
                operand,
            )
        elif role.endswith("weights") and operand.zero_point:
            message = f"the zero point of the {role} is {operand.zero_point}, the kernel takes it as 0"
            node.wrong("weights-zero-point", message, operand)
    if bias.zero_point:
        node.wrong("bias-zero-point", f"the bias's zero point is {bias.zero_point}, the kernel takes it as 0", bias)
