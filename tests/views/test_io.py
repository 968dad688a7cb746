"""What goes in and what comes out, and why a buffer has the wrong number of bytes."""

from __future__ import annotations

import flatbuffers
import numpy as np
import pytest

import tflite_surgeon as ts
from tests import builders
from tests.views import nets
from tflite_surgeon.views.buffer_sizes import BATCH, CHANNELS, SIZE, TYPE, mismatches, sizes_in
from tflite_surgeon.views.inputs_outputs import FLOAT, INTEGER_WEIGHTS, INTEGERS


def test_a_float_input_of_a_model_with_integer_weights() -> None:
    found = ts.inputs_outputs(nets.picture())
    (port,) = found.inputs
    assert (port.name, port.dtype, port.shape, port.index) == ("serving_default_x:0", "float32", [1, 100, 100, 3], 0)
    assert port.bytes == np.zeros((1, 100, 100, 3), np.float32).nbytes == 120000
    assert (port.scales, port.zero_points, port.range) == ([], [], None)
    assert found.outputs[0].bytes == 98 * 98 * 5 * 4
    assert found.computes_in == INTEGER_WEIGHTS
    assert port.image is not None
    assert (port.image.height, port.image.width, port.image.channels, port.image.mean) == (100, 100, 3, None)


def test_what_follows_a_float_input() -> None:
    assert ts.inputs_outputs(nets.behind_quantize()).computes_in == INTEGERS
    assert ts.inputs_outputs(nets.picture(weights="FLOAT32")).computes_in == FLOAT
    assert ts.inputs_outputs(builders.layer()).computes_in is None


@pytest.mark.parametrize(
    ("kind", "zero_point", "offset"), [("UINT8", 128, 0), ("UINT8", 0, 0), ("INT8", -128, 128), ("INT8", 3, 128)]
)
def test_mean_and_std_are_those_of_pixels_from_0_to_255(kind: str, zero_point: int, offset: int) -> None:
    scale = builders.float32(1 / 127.5)
    (port,) = ts.inputs_outputs(nets.picture(kind, scale=scale, zero_point=zero_point)).inputs
    image = port.image
    assert image is not None
    assert image.mean is not None
    assert image.std is not None
    for pixel in (0, 1, 77, 255):
        integer = pixel - offset
        real = (integer - zero_point) * scale
        assert (pixel - image.mean) / image.std == pytest.approx(real)
    limits = np.iinfo(kind.lower())
    assert port.range == ((limits.min - zero_point) * scale, (limits.max - zero_point) * scale)


def normalised(mean: list[float], std: list[float], kind: int = 1, identifier: bytes = b"M001") -> bytes:
    """A TFLITE_METADATA entry that says how the only input is normalised."""
    maker = flatbuffers.Builder(0)

    def vector(values: list[int], number: bool = False) -> int:
        maker.StartVector(4, len(values), 4)
        for value in reversed(values):
            maker.PrependFloat32(value) if number else maker.PrependUOffsetTRelative(value)
        return maker.EndVector()

    def table(fields: int, slot: int, value: int) -> int:
        maker.StartObject(fields)
        maker.PrependUOffsetTRelativeSlot(slot, value, 0)
        return maker.EndObject()

    means, stds = vector(mean, True), vector(std, True)
    maker.StartObject(2)
    maker.PrependUOffsetTRelativeSlot(0, means, 0)
    maker.PrependUOffsetTRelativeSlot(1, stds, 0)
    options = maker.EndObject()
    maker.StartObject(2)
    maker.PrependUint8Slot(0, kind, 0)
    maker.PrependUOffsetTRelativeSlot(1, options, 0)
    unit = maker.EndObject()
    tensor = table(7, 4, vector([unit]))
    subgraph = table(5, 2, vector([tensor]))
    maker.Finish(table(8, 3, vector([subgraph])), identifier)
    return bytes(maker.Output())


def with_metadata(data: bytes) -> ts.Model:
    model = nets.picture()
    model.buffers.append(ts.Buffer(data))
    model.metadata = [ts.Metadata(name="TFLITE_METADATA", buffer=model.buffers[-1])]
    return model


@pytest.mark.parametrize(("mean", "std"), [([127.5], [127.5]), ([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])])
def test_metadata_say_how_floats_are_made_of_pixels(mean: list[float], std: list[float]) -> None:
    image = ts.inputs_outputs(with_metadata(normalised(mean, std))).inputs[0].image
    assert image is not None
    assert image.recorded is not None
    assert (image.recorded.mean, image.recorded.std) == (mean, std)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        normalised([1.0], [1.0, 2.0]),
        normalised([1.0], [1.0], kind=2),
        normalised([1.0], [1.0], identifier=b"TFL3"),
        normalised([0.0] * 17, [0.0] * 17),
        (4).to_bytes(4, "little") + b"M001" + b"\xff" * 40,
    ],
    ids=len,
)
def test_other_metadata_say_nothing(data: bytes) -> None:
    image = ts.inputs_outputs(with_metadata(data)).inputs[0].image
    assert image is not None
    assert image.recorded is None


def test_damaged_metadata_are_passed_over() -> None:
    sound = normalised([127.5], [127.5])
    for at in range(len(sound)):
        for value in (0, 1, 127, 255):
            model = with_metadata(sound[:at] + bytes([value]) + sound[at + 1 :])
            assert len(ts.inputs_outputs(model).inputs) == 1
        ts.inputs_outputs(with_metadata(sound[:at]))


def test_an_open_dimension_has_no_number_of_bytes() -> None:
    (port,) = ts.inputs_outputs(nets.picture(signature=[-1, 100, 100, 3])).inputs
    assert port.bytes is None
    assert port.bytes_of_shape == 120000
    assert port.is_open
    model = nets.picture()
    model.subgraphs[0].inputs[0].shape = [-1, 100, 100, 3]
    (port,) = ts.inputs_outputs(model).inputs
    assert (port.bytes, port.bytes_of_shape, port.values) == (None, None, None)


@pytest.mark.parametrize(
    ("kind", "size"), [("INT4", 5), ("STRING", None), ("RESOURCE", None), ("INT64", 72), ("BOOL", 9)]
)
def test_bytes_go_by_the_type(kind: str, size: int | None) -> None:
    model = builders.layer()
    tensor = model.subgraphs[0].inputs[0]
    tensor.type, tensor.shape = ts.TensorType[kind], [3, 3]
    assert ts.inputs_outputs(model).inputs[0].bytes == size


def test_signatures_name_inputs_and_outputs_of_their_own_subgraph() -> None:
    model = builders.two_subgraphs(builders.layer(), builders.layer("CONV_2D"))
    graph = model.subgraphs[1]
    entry = ts.TensorMap(name="image", tensor=graph.inputs[0])
    model.signature_defs.append(ts.SignatureDef(signature_key="see", inputs=[entry], outputs=[], subgraph=graph))
    first, second = ts.inputs_outputs(model).signatures
    assert (first.key, first.subgraph, first.inputs[0][0]) == ("serving_default", 0, "input")
    assert (second.key, second.subgraph, second.outputs) == ("see", 1, [])
    name, port = second.inputs[0]
    assert (name, port.shape) == ("image", [1, 4, 4, 3])


def test_what_points_nowhere_is_shown_as_such() -> None:
    found = ts.inputs_outputs(nets.broken())
    assert [(port.index, port.type) for port in found.inputs] == [(99, None), (-1, None), (0, "INT8")]
    assert found.outputs == []
    assert found.signatures[0].inputs[0][1].index == 98
    assert found.signatures[1].subgraph is None
    assert ts.inputs_outputs(nets.empty()).inputs == []


JAVA = "Cannot convert between a TensorFlowLite buffer with {} bytes and a ByteBuffer with {} bytes."


@pytest.mark.parametrize(
    ("text", "side", "name", "number"),
    [
        (f"java.lang.IllegalArgumentException: {JAVA}", None, None, None),
        (
            "Cannot copy to a TensorFlowLite tensor (x:0) with {} bytes from a Java Buffer with {} bytes.",
            False,
            "x:0",
            None,
        ),
        ("Cannot copy from a LiteRT tensor (y) with {} bytes to a Java Buffer with {} bytes.", True, "y", None),
        ("Failed to get input dimensions. 1-th input should have {} bytes, but found {} bytes.", False, None, 1),
        ("Input tensor at index (2) expects data size ({}), but got ({}).", False, None, 2),
        ("Input tensor with input name (image) expects data size ({}), but got ({}).", False, "image", None),
    ],
)
def test_messages_are_read(text: str, side: bool | None, name: str | None, number: int | None) -> None:
    found = sizes_in(text.format(120000, 30000))
    assert found is not None
    assert (found.wanted, found.given) == (120000, 30000)
    assert (found.is_output, found.name, found.number) == (side, name, number)


def test_swift_names_the_buffer_first() -> None:
    found = sizes_in("Provided data count 30000 must match the required count 120000.")
    assert found is not None
    assert (found.wanted, found.given) == (120000, 30000)


@pytest.mark.parametrize("text", ["", "30000 bytes", JAVA.format("9" * 5000, 1)])
def test_other_texts_have_no_sizes(text: str) -> None:
    assert sizes_in(text) is None


@pytest.mark.parametrize(
    ("wanted", "given", "differs"),
    [
        (120000, 30000, (TYPE,)),
        (30000, 120000, (TYPE,)),
        (30000, 10000, (CHANNELS,)),
        (10000, 30000, (CHANNELS,)),
        (40000, 30000, (CHANNELS,)),
        (120000, 10000, (TYPE, CHANNELS)),
        (10000, 120000, (TYPE, CHANNELS)),
        (10000, 70000, (BATCH, SIZE)),
        (602112, 1072812, (SIZE,)),
        (0, 5, (SIZE,)),
        (5, 5, ()),
    ],
)
def test_without_a_model_the_ratio_speaks(wanted: int, given: int, differs: tuple[str, ...]) -> None:
    sizes = sizes_in(JAVA.format(wanted, given))
    assert sizes is not None
    (found,) = mismatches(sizes)
    assert found.port is None
    assert [reason.differs for reason in found.reasons] == [differs]


FLOAT_PICTURE = nets.picture()
BYTE_PICTURE = nets.picture("UINT8", scale=0.01)
POSENET = nets.picture(shape=(1, 353, 257, 3))


@pytest.mark.parametrize(
    ("model", "given", "differs"),
    [
        # 100 x 100 pixels: a byte for a float, grey for colours, both, a bitmap's RGBA for three floats.
        (FLOAT_PICTURE, 30000, [(TYPE,)]),
        (FLOAT_PICTURE, 40000, [(CHANNELS,), (TYPE, CHANNELS)]),
        (FLOAT_PICTURE, 10000, [(TYPE, CHANNELS)]),
        (FLOAT_PICTURE, 160000, [(CHANNELS,)]),
        (FLOAT_PICTURE, 224 * 224 * 3, [(SIZE,), (TYPE, SIZE)]),  # Also 112 x 112 floats.
        (FLOAT_PICTURE, 7 * 120000, [(BATCH,)]),
        (FLOAT_PICTURE, 4999, []),
        (BYTE_PICTURE, 120000, [(TYPE,), (BATCH,)]),
        (BYTE_PICTURE, 40000, [(CHANNELS,)]),
        (BYTE_PICTURE, 10000, [(CHANNELS,)]),
        # A reported case: 353 x 257 is wanted, 353 x 353 was given.
        (POSENET, 353 * 353 * 3 * 4, [(SIZE,)]),
    ],
)
def test_with_a_model_the_input_speaks(model: ts.Model, given: int, differs: list[tuple[str, ...]]) -> None:
    interface = ts.inputs_outputs(model)
    wanted = interface.inputs[0].bytes
    sizes = sizes_in(JAVA.format(wanted, given))
    assert sizes is not None
    (found,) = mismatches(sizes, interface)
    assert (found.is_output, found.number, found.port) == (False, 0, interface.inputs[0])
    assert [reason.differs for reason in found.reasons][: len(differs) or None] == differs
    assert all(str(given) in reason.sentence or BATCH in reason.differs for reason in found.reasons)


def test_a_resized_input_is_found_by_what_one_of_its_items_takes() -> None:
    interface = ts.inputs_outputs(nets.picture(signature=[-1, 100, 100, 3]))
    sizes = sizes_in(JAVA.format(8 * 120000, 8 * 30000))
    assert sizes is not None
    (found,) = mismatches(sizes, interface)
    assert found.number == 0
    assert found.reasons[0].differs == (TYPE,)


def test_the_input_that_the_message_names_is_looked_at() -> None:
    interface = ts.inputs_outputs(builders.shared_bias((0.02, 0.05)))
    size = interface.inputs[0].bytes
    for text, expected in (
        (f"1-th input should have {size} bytes, but found 24 bytes", [1]),
        (f"Cannot copy to a TensorFlowLite tensor (input_0) with {size} bytes from a Java Buffer with 24 bytes", [0]),
        (JAVA.format(size, 24), [0, 1]),
    ):
        sizes = sizes_in(text)
        assert sizes is not None
        assert [found.number for found in mismatches(sizes, interface)] == expected


def test_a_size_that_no_input_has_leaves_the_ratio() -> None:
    sizes = sizes_in(JAVA.format(4000, 1000))
    assert sizes is not None
    (found,) = mismatches(sizes, ts.inputs_outputs(nets.picture()))
    assert found.port is None
    assert [reason.differs for reason in found.reasons] == [(TYPE,)]


def test_broken_and_empty_models_have_nothing_to_say() -> None:
    sizes = sizes_in(JAVA.format(4000, 1000))
    assert sizes is not None
    for model in (nets.broken(), nets.empty()):
        assert [found.port for found in mismatches(sizes, ts.inputs_outputs(model))] == [None]
