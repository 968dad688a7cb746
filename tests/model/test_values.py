"""Constants as numbers: every type, its limits, and bytes that do not fit."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tflite_surgeon as ts
from tests.flatbuffer import samples
from tflite_surgeon.flatbuffer import schema
from tflite_surgeon.model import values


def tensor(type_name: str, shape: list[int] | None, data: bytes | None) -> ts.Tensor:
    return ts.Tensor(name="t", type=samples.TYPES[type_name], shape=shape, buffer=ts.Buffer(data))


# (type, bytes, the values they say): written by hand from the format's definition.
READINGS = [
    ("FLOAT32", bytes.fromhex("0000803f 000020c0"), [1.0, -2.5]),
    ("FLOAT16", bytes.fromhex("003c 00c1"), [1.0, -2.5]),
    ("FLOAT64", bytes.fromhex("000000000000f03f 00000000000004c0"), [1.0, -2.5]),
    ("INT8", b"\x7f\x80", [127, -128]),
    ("UINT8", b"\x7f\x80", [127, 128]),
    ("INT16", b"\xff\x7f\x00\x80", [32767, -32768]),
    ("UINT16", b"\xff\x7f\x00\x80", [32767, 32768]),
    ("INT32", b"\x01\0\0\0\xff\xff\xff\xff", [1, -1]),
    ("UINT32", b"\x01\0\0\0\xff\xff\xff\xff", [1, 4294967295]),
    ("INT64", b"\x01" + bytes(7) + b"\xff" * 8, [1, -1]),
    ("UINT64", b"\x01" + bytes(7) + b"\xff" * 8, [1, 18446744073709551615]),
    ("BOOL", b"\0\1", [False, True]),
    ("COMPLEX64", bytes.fromhex("0000803f 000020c0 00000000 0000803f"), [1 - 2.5j, 1j]),
    ("COMPLEX128", bytes.fromhex("000000000000f03f 00000000000004c0") + bytes(16), [1 - 2.5j, 0]),
    ("BFLOAT16", b"\x80\x3f\x20\xc0", [0x3F80, 0xC020]),
    ("FLOAT8_E4M3FN", b"\x38\xb8", [0x38, 0xB8]),
    ("FLOAT8_E5M2", b"\x3c\xbc", [0x3C, 0xBC]),
    ("INT4", b"\x87", [7, -8]),
    ("UINT4", b"\x87", [7, 8]),
    ("INT2", b"\xe4", [0, 1, -2, -1]),
]


@pytest.mark.parametrize(("type_name", "data", "expected"), READINGS, ids=[row[0] for row in READINGS])
def test_bytes_and_values_of_each_type(type_name: str, data: bytes, expected: list) -> None:
    item = tensor(type_name, [len(expected)], data)
    read = item.values()
    assert read.tolist() == expected
    assert read.shape == (len(expected),)
    item.buffer.data = bytes(len(data))
    item.set_values(np.array(expected, read.dtype))
    assert bytes(item.data) == data
    if type_name != "UINT64":  # numpy makes floats of a list of small and of very large integers.
        item.set_values(expected)
        assert bytes(item.data) == data


def test_every_type_of_the_schema_is_covered() -> None:
    without_fixed_size = {"RESOURCE", "VARIANT"}
    types = set(schema.ENUMS["TensorType"][1])
    assert {row[0] for row in READINGS} | without_fixed_size | {"STRING"} == types
    for name in without_fixed_size:
        with pytest.raises(ts.SurgeonError, match=f"of {name}, which has no fixed element size"):
            tensor(name, [1], b"abc").values()
        with pytest.raises(ts.SurgeonError, match=f"of {name}, which has no fixed element size"):
            tensor(name, [1], b"abc").set_values([1])


@pytest.mark.parametrize(
    ("type_name", "numbers", "data"),
    [
        ("INT4", [1, 2, 3], b"\x21\x03"),
        ("INT4", [-1], b"\x0f"),
        ("UINT4", [15, 0, 15], b"\x0f\x0f"),
        ("INT2", [-1, -1, -1, -1, 1], b"\xff\x01"),
        ("INT2", [-2], b"\x02"),
    ],
)
def test_packed_integers_that_do_not_fill_the_last_byte(type_name: str, numbers: list[int], data: bytes) -> None:
    item = tensor(type_name, [len(numbers)], data)
    assert item.values().tolist() == numbers
    item.set_values([0] * len(numbers))
    assert not any(item.data)
    item.set_values(numbers)
    assert bytes(item.data) == data
    assert values.byte_count(type_name, len(numbers)) == len(data)


def test_shapes() -> None:
    assert tensor("INT8", [2, 3], bytes(range(6))).values().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert tensor("INT8", [], b"\5").values().shape == ()
    assert tensor("INT8", None, b"\5").values() == 5
    assert tensor("UINT4", [1, 3], b"\x21\x03").values().tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(
    ("type_name", "shape", "data", "says"),
    [
        ("INT8", [3], b"ab", "takes 3 bytes, its buffer has 2"),
        ("FLOAT32", [1], b"abc", "takes 4 bytes, its buffer has 3"),
        ("INT4", [3], b"abc", "takes 2 bytes, its buffer has 3"),
        ("INT8", [-1, -2], b"ab", "its buffer has 2"),
        ("INT8", [2**31 - 1] * 8, b"ab", "its buffer has 2"),
        ("INT8", [1], None, "is not constant"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(type_name: str, shape: list[int], data: bytes | None, says: str) -> None:
    with pytest.raises(ts.SurgeonError, match=says):
        tensor(type_name, shape, data).values()


def test_a_type_that_the_schema_does_not_know_has_no_values() -> None:
    item = tensor("INT8", [1], b"a")
    item.type = 99
    with pytest.raises(ts.SurgeonError, match="of type 99"):
        item.values()


def test_values_are_read_only_and_say_so_to_numpy() -> None:
    item = tensor("INT8", [2], b"ab")
    with pytest.raises(ValueError, match="read-only"):
        item.values()[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        tensor("INT4", [2], b"a").values()[0] = 1


@pytest.mark.parametrize(
    ("type_name", "bad"),
    [
        ("INT8", 128),
        ("INT8", -129),
        ("INT8", 0.5),
        ("INT8", math.nan),
        ("INT8", math.inf),
        ("INT8", "1"),
        ("INT8", 1j),
        ("UINT8", -1),
        ("INT16", 40000),
        ("INT32", 1 << 31),
        ("INT64", 2.0**63),
        ("INT64", 1 << 63),
        ("INT64", 1 << 70),
        ("UINT64", 2.0**64),
        ("UINT64", -1),
        ("INT4", 8),
        ("INT4", -9),
        ("UINT4", 16),
        ("UINT4", -1),
        ("INT2", 2),
        ("INT2", -3),
        ("INT2", 0.5),
        ("BOOL", 2),
        ("BOOL", 0.5),
        ("BFLOAT16", 0.5),
        ("FLOAT8_E5M2", 256),
        ("FLOAT32", 1e39),
        ("FLOAT16", 70000),
        ("FLOAT32", 1j),
        ("FLOAT32", "1"),
        ("FLOAT32", None),
    ],
)
def test_values_that_the_type_does_not_hold_are_refused_and_nothing_changes(type_name: str, bad: object) -> None:
    size = values.byte_count(type_name, 2)
    item = tensor(type_name, [2], bytes(size))
    before = item.buffer
    with pytest.raises(ts.SurgeonError, match="tensor 't'"):
        item.set_values([0, bad])
    assert item.buffer is before


@pytest.mark.parametrize(
    ("type_name", "good"),
    [
        ("INT8", -128.0),
        ("INT64", (1 << 63) - 1),
        ("INT64", -(2.0**63)),
        ("UINT64", np.uint64((1 << 64) - 1)),
        ("BOOL", 1),
        ("FLOAT32", math.inf),
        ("FLOAT32", math.nan),
        ("FLOAT16", 65504),
        ("INT4", np.int64(-8)),
    ],
)
def test_values_at_the_limits_are_taken(type_name: str, good: object) -> None:
    item = tensor(type_name, [2], bytes(values.byte_count(type_name, 2)))
    item.set_values(np.array([0, good], type(good)) if isinstance(good, np.generic) else [0, good])
    assert item.values()[1] == good or (good != good and np.isnan(item.values()[1]))


def test_floats_are_rounded_to_the_type() -> None:
    item = tensor("FLOAT32", [1], bytes(4))
    item.set_values([0.1])
    assert float(item.values()[0]) == 13421773 / 2**27


@pytest.mark.parametrize("shape", [(3,), (1, 2), (2, 1), ()])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    item = tensor("INT8", [2], b"ab")
    with pytest.raises(ts.SurgeonError, match=r"has shape \[2\], the values have"):
        item.set_values(np.zeros(shape, np.int8))


def test_sparse_constants_are_refused() -> None:
    model = samples.crowded()
    weights = model.subgraphs[0].tensors[1]
    for call in (weights.values, lambda: weights.set_values([[0] * 4] * 2)):
        with pytest.raises(ts.SurgeonError, match="is sparse"):
            call()


def test_an_empty_constant_can_be_set() -> None:
    item = tensor("INT4", [0], None)
    item.set_values([])
    assert item.buffer.data == b""


def test_a_shared_buffer_is_not_changed_for_the_others() -> None:
    shared = ts.Buffer(b"ab")
    first, second = (ts.Tensor(name=n, type=samples.TYPES.INT8, shape=[2], buffer=shared) for n in "ab")
    first.set_values([1, 2])
    assert bytes(second.data) == b"ab"
    assert bytes(shared.data) == b"ab"


def test_loaded_data_cannot_be_written_in_place() -> None:
    model = ts.loads(ts.dumps(samples.dense()))
    with pytest.raises(TypeError, match="read-only"):
        model.buffers[1].data[0] = 1
