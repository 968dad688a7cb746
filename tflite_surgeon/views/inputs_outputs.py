"""What goes into a model and what comes out: types, shapes, bytes, and what the integers stand for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tflite_surgeon.model.objects import BadReference, Model, SignatureDef, SubGraph, Tensor
from tflite_surgeon.quantization import is_usable_scale
from tflite_surgeon.views.normalisation import Normalisation, normalisations
from tflite_surgeon.views.tensors import (
    ELEMENT_BITS,
    INTEGER_LIMITS,
    WEIGHTS,
    Kinds,
    byte_size,
    bytes_of_shape,
    element_count,
    implied_range,
    is_quantized,
    zero_points,
)

# Smaller planes are taken for something else than pictures.
_SMALLEST_SIDE: Final = 8
_COLOURS: Final = (1, 3, 4)
# What to add to a pixel of 0 to 255 to have the integer of an input. Source: TFLite 8-bit quantisation specification
# and the converter's inference_input_type: INT8 inputs are the UINT8 ones less 128.
_PIXEL_OFFSETS: Final = {"UINT8": 0, "INT8": -128}

# What a model with floats at its inputs computes in.
FLOAT: Final = "float"
INTEGER_WEIGHTS: Final = "integer weights"
INTEGERS: Final = "integers"


@dataclass(frozen=True)
class Image:
    """The layout of an input that looks like a picture, and how its pixels become real values.

    Attributes:
        height, width, channels: -1 where open.
        channels_last: batch x height x width x channels, else batch x channels x height x width.
        mean, std: real = (pixel - mean) / std with pixels from 0 to 255, the convention of the converter's
            mean_values and std_dev_values; None where no scale implies it (floats).
        offset: what is added to a pixel to have the integer: 0 for UINT8, -128 for INT8.
        recorded: the same as the file's metadata have it; None where they do not say.
    """

    height: int
    width: int
    channels: int
    channels_last: bool
    mean: float | None
    std: float | None
    offset: int
    recorded: Normalisation | None = None


@dataclass(frozen=True)
class Port:
    """An input or output.

    Attributes:
        index: the tensor's number in its subgraph, the "index" of the interpreter's details; -1 where none is given.
        name: as the file has it, empty where it has none.
        type: such as FLOAT32; None where the file points nowhere.
        shape: as it stands in the file, an open dimension as 1 or -1; empty for a scalar.
        shape_signature: with -1 for open dimensions; the shape where the file has none.
        bytes: what a buffer for it takes; None where that depends: open dimensions, strings, handles.
        bytes_of_shape: the same for the shape as it stands, before anybody resizes it.
        values: the number of elements of that shape; None where a dimension is negative.
        scales, zero_points: real = (q - zero point) * scale; empty where there are none.
        quantized_dimension: the dimension that several scales count along.
        range: the real values that the least and the greatest integer stand for; None where it is not quantised.
        image: for inputs that look like pictures.
    """

    index: int
    name: str
    type: str | None
    shape: list[int]
    shape_signature: list[int]
    bytes: int | None
    bytes_of_shape: int | None
    values: int | None
    scales: list[float]
    zero_points: list[int]
    quantized_dimension: int
    range: tuple[float, float] | None
    image: Image | None

    @property
    def dtype(self) -> str | None:
        """The type as numpy writes it, such as float32; string for STRING."""
        return None if self.type is None else self.type.lower()

    @property
    def value_bits(self) -> int | None:
        """Bits of one element; None for types without a fixed size."""
        return ELEMENT_BITS.get(self.type or "")

    @property
    def is_open(self) -> bool:
        """Whether a dimension is -1."""
        return min([*self.shape, *self.shape_signature], default=0) < 0


@dataclass(frozen=True)
class Signature:
    """A named way to call a subgraph: its inputs and outputs by the names that it gives them."""

    key: str
    subgraph: int | None
    inputs: list[tuple[str, Port]]
    outputs: list[tuple[str, Port]]


@dataclass(frozen=True)
class Interface:
    """The inputs and outputs of the subgraph that runs, in the order in which interpreters number them.

    Attributes:
        inputs, outputs: of subgraph 0.
        signatures: all of them, of other subgraphs too.
        computes_in: where an input is FLOAT32, what follows it: FLOAT, INTEGER_WEIGHTS (weights are integers,
            activations floats) or INTEGERS (a QUANTIZE operator behind the input); None where no input is FLOAT32.
    """

    inputs: list[Port]
    outputs: list[Port]
    signatures: list[Signature]
    computes_in: str | None


def inputs_outputs(model: Model) -> Interface:
    """What goes into a model and what comes out. No weights are read."""
    main = (model.subgraphs or [SubGraph()])[0]
    places = {id(graph): number for number, graph in enumerate(model.subgraphs or ())}
    return Interface(
        _pictured(_ports(main, main.inputs, images=True), normalisations(model)),
        _ports(main, main.outputs),
        [_signature(found, places) for found in model.signature_defs or ()],
        _computes_in(model, main),
    )


def _ports(graph: SubGraph, tensors: Iterable[Tensor | BadReference | None] | None, images: bool = False) -> list[Port]:
    numbers = {id(tensor): index for index, tensor in enumerate(graph.tensors or ())}
    return [_port(item, numbers, images) for item in tensors or ()]


def _pictured(ports: list[Port], recorded: dict[int, Normalisation]) -> list[Port]:
    """The ports with what metadata say of their images."""
    return [
        port if port.image is None else replace(port, image=replace(port.image, recorded=recorded.get(number)))
        for number, port in enumerate(ports)
    ]


def _port(tensor: Tensor | BadReference | None, numbers: dict[int, int], images: bool) -> Port:
    if not isinstance(tensor, Tensor):
        index = -1 if tensor is None else tensor.index
        return Port(index, "", None, [], [], None, None, None, [], [], 0, None, None)
    quantization = tensor.quantization
    scales = list(quantization.scale or ()) if quantization is not None else []
    shape = list(tensor.shape or ())
    signature = list(tensor.shape_signature or shape)
    return Port(
        index=numbers.get(id(tensor), -1),
        name=tensor.name or "",
        type=tensor.type_name,
        shape=shape,
        shape_signature=signature,
        bytes=byte_size(tensor),
        bytes_of_shape=bytes_of_shape(tensor),
        values=element_count(tensor),
        scales=scales,
        zero_points=zero_points(tensor),
        quantized_dimension=quantization.quantized_dimension if quantization is not None and scales else 0,
        range=implied_range(tensor),
        image=_image(tensor, signature) if images else None,
    )


def _image(tensor: Tensor, shape: Sequence[int]) -> Image | None:
    if len(shape) != 4 or tensor.type_name not in ("FLOAT32", "FLOAT16", *_PIXEL_OFFSETS):
        return None
    channels_last = shape[3] in _COLOURS
    height, width, channels = shape[1:] if channels_last else (shape[2], shape[3], shape[1])
    if channels not in _COLOURS or any(0 <= side < _SMALLEST_SIDE for side in (height, width)):
        return None
    mean = std = None
    offset = _PIXEL_OFFSETS.get(tensor.type_name, 0)
    scales = tensor.quantization.scale if tensor.quantization is not None else None
    if scales and len(scales) == 1 and is_usable_scale(scales[0]) and tensor.type_name in INTEGER_LIMITS:
        # real = (q - zero point) * scale with q = pixel + offset.
        mean, std = float(zero_points(tensor)[0] - offset), 1 / scales[0]
    return Image(height, width, channels, channels_last, mean, std, offset)


def _signature(found: SignatureDef, places: dict[int, int]) -> Signature:
    graph = found.subgraph if isinstance(found.subgraph, SubGraph) else SubGraph()
    numbers = {id(tensor): index for index, tensor in enumerate(graph.tensors or ())}
    inputs, outputs = (
        [(entry.name or "", _port(entry.tensor, numbers, False)) for entry in entries or ()]
        for entries in (found.inputs, found.outputs)
    )
    return Signature(found.signature_key or "", places.get(id(graph)), inputs, outputs)


def _computes_in(model: Model, main: SubGraph) -> str | None:
    floats = {id(item) for item in main.inputs or () if isinstance(item, Tensor) and item.type_name == "FLOAT32"}
    if not floats:
        return None
    for operator in main.operators or ():
        if operator.name == "QUANTIZE" and any(id(item) in floats for item in operator.inputs or ()):
            return INTEGERS
    kinds = Kinds(model)
    tensors = (tensor for graph in model.subgraphs or () for tensor in graph.tensors or ())
    has_integers = any(is_quantized(tensor) and kinds.of(tensor) == WEIGHTS for tensor in tensors)
    return INTEGER_WEIGHTS if has_integers else FLOAT
