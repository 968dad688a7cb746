"""A constant's bytes as numbers, and back."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from tflite_surgeon.errors import SurgeonError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from tflite_surgeon.model.objects import Operator, Tensor

# Element types by name; those without a numpy type of their own are given as their bits.
_DTYPES = {
    "FLOAT32": "<f4",
    "FLOAT16": "<f2",
    "INT32": "<i4",
    "UINT8": "u1",
    "INT64": "<i8",
    "BOOL": "?",
    "INT16": "<i2",
    "COMPLEX64": "<c8",
    "INT8": "i1",
    "FLOAT64": "<f8",
    "COMPLEX128": "<c16",
    "UINT64": "<u8",
    "UINT32": "<u4",
    "UINT16": "<u2",
    "BFLOAT16": "<u2",
    "FLOAT8_E4M3FN": "u1",
    "FLOAT8_E5M2": "u1",
}
# Packed integers: (bits, signed), the first element in the lowest bits of the first byte.
_PACKED = {"INT4": (4, True), "UINT4": (4, False), "INT2": (2, True)}


def byte_count(type_name: str, elements: int) -> int | None:
    """Bytes that so many elements take in a buffer; None for types without a fixed size, such as STRING."""
    if type_name in _PACKED:
        return (elements * _PACKED[type_name][0] + 7) // 8
    if type_name in _DTYPES:
        return elements * np.dtype(_DTYPES[type_name]).itemsize
    return None


def unpack(tensor: Tensor) -> NDArray[Any]:
    """The values of a constant, read-only, in its shape; packed integers as int8 or uint8, strings as bytes objects.

    Raises:
        SurgeonError: not constant, sparse, of a type without fixed size, or bytes that do not fit shape and type.
    """
    data = tensor.data
    type_name = tensor.type_name
    if data is None:
        raise SurgeonError(f"tensor {tensor.name!r} is not constant: it has no values in the file")
    if tensor.sparsity is not None:
        raise SurgeonError(f"tensor {tensor.name!r} is sparse: its buffer holds only the values that are not zero")
    shape = tensor.shape or []
    elements = prod(shape)
    if type_name == "STRING":
        return _unpack_strings(tensor, bytes(data), shape)
    expected = byte_count(type_name, elements)
    if expected is None:
        raise SurgeonError(f"tensor {tensor.name!r} is of {type_name}, which has no fixed element size")
    if len(data) != expected or min(shape, default=0) < 0:
        raise SurgeonError(
            f"tensor {tensor.name!r} of shape {shape} and {type_name} takes {expected} bytes, "
            f"its buffer has {len(data)}"
        )
    if type_name in _PACKED:
        array = _unpack_bits(np.frombuffer(data, np.uint8), elements, *_PACKED[type_name])
    else:
        array = np.frombuffer(data, np.dtype(_DTYPES[type_name]))
    array = array.reshape(shape)
    array.flags.writeable = False
    return array


def pack(tensor: Tensor, values: ArrayLike) -> bytes:
    """The bytes of values in the tensor's shape and type.

    Raises:
        SurgeonError: another shape, or values that the type does not hold exactly (floats are rounded to it).
    """
    type_name = tensor.type_name
    shape = tuple(tensor.shape or ())
    given = np.asarray(values, object if type_name == "STRING" else None)
    if given.shape != shape:
        raise SurgeonError(f"tensor {tensor.name!r} has shape {list(shape)}, the values have {list(given.shape)}")
    if tensor.sparsity is not None:
        raise SurgeonError(f"tensor {tensor.name!r} is sparse: set_values would lose its structure")
    if type_name == "STRING":
        return _pack_strings(given)
    if type_name in _PACKED:
        bits, signed = _PACKED[type_name]
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        _require_range(tensor, given, low, high)
        return _pack_bits(given, bits)
    if type_name not in _DTYPES:
        raise SurgeonError(f"tensor {tensor.name!r} is of {type_name}, which has no fixed element size")
    dtype = np.dtype(_DTYPES[type_name])
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        _require_range(tensor, given, int(limits.min), int(limits.max))
    elif dtype.kind == "b" and given.dtype.kind != "b":
        _require_range(tensor, given, 0, 1)
    elif given.dtype.kind not in "biufc" or (given.dtype.kind == "c" and dtype.kind != "c"):
        raise SurgeonError(f"tensor {tensor.name!r} is of {type_name}; the values are of {given.dtype}")
    with np.errstate(over="ignore"):
        result = given.astype(dtype)
    if dtype.kind in "fc" and not (np.isfinite(result) | ~np.isfinite(given)).all():
        raise SurgeonError(f"tensor {tensor.name!r} is of {type_name}; some values are larger than it reaches")
    return result.tobytes()


def _require_range(tensor: Tensor, values: NDArray[Any], low: int, high: int) -> None:
    if values.size == 0:
        return
    if values.dtype.kind not in "biuf" and not all(isinstance(value, int) for value in values.flat):
        raise SurgeonError(f"tensor {tensor.name!r} is of {tensor.type_name}; the values are of {values.dtype}")
    if values.dtype.kind == "f" and not (np.isfinite(values).all() and (values == np.rint(values)).all()):
        raise SurgeonError(f"tensor {tensor.name!r} is of {tensor.type_name}; some values are not whole numbers")
    smallest, largest = int(values.min()), int(values.max())  # As integers: a float of 2**63 equals its neighbours.
    if smallest < low or largest > high:
        raise SurgeonError(
            f"tensor {tensor.name!r} is of {tensor.type_name}, which holds {low} to {high}; "
            f"the values reach from {smallest} to {largest}"
        )


def _unpack_strings(tensor: Tensor, data: bytes, shape: list[int]) -> NDArray[Any]:
    """Strings lie behind their count and count + 1 offsets, all int32. Source: TFLite string_util.h."""
    count = int.from_bytes(data[:4], "little")
    offsets = np.frombuffer(data[4 : 4 + 4 * (count + 1)], "<i4") if len(data) >= 8 + 4 * count else None
    if offsets is None or offsets.min() < 0 or offsets.max() > len(data) or (np.diff(offsets) < 0).any():
        raise SurgeonError(f"tensor {tensor.name!r}: its buffer of {len(data)} bytes does not hold {count} strings")
    if count != prod(shape):
        raise SurgeonError(
            f"tensor {tensor.name!r} of shape {shape} takes {prod(shape)} strings, its buffer has {count}"
        )
    strings = np.empty(count, object)
    strings[:] = [data[start:end] for start, end in zip(offsets.tolist(), offsets.tolist()[1:])]
    strings = strings.reshape(shape)
    strings.flags.writeable = False
    return strings


def _pack_strings(values: NDArray[Any]) -> bytes:
    strings = [item.encode() if isinstance(item, str) else bytes(item) for item in values.reshape(-1).tolist()]
    offsets = np.cumsum([8 + 4 * len(strings), *map(len, strings)])
    return np.array([len(strings), *offsets], "<i4").tobytes() + b"".join(strings)


def flexbuffer(operator: Operator) -> Any:
    """An operator's custom options, decoded.

    Raises:
        SurgeonError: there are none, or they are no FlexBuffer.
    """
    from flatbuffers import flexbuffers

    options = operator.large_custom_options if operator.large_custom_options is not None else operator.custom_options
    if not options:
        raise SurgeonError(f"operator {operator.name} has no custom options")
    try:
        return flexbuffers.Loads(bytes(options))
    except Exception as error:  # The library leaves the checking of bytes to Python: any error means damage.
        raise SurgeonError(f"the custom options of operator {operator.name} are no FlexBuffer: {error}") from None


def _unpack_bits(packed: NDArray[np.uint8], elements: int, bits: int, signed: bool) -> NDArray[Any]:
    per_byte = 8 // bits
    shifts = np.arange(per_byte, dtype=np.uint8) * bits
    unsigned = ((packed[:, None] >> shifts) & ((1 << bits) - 1)).reshape(-1)[:elements]
    if not signed:
        return unsigned
    sign = 1 << (bits - 1)
    return ((unsigned ^ sign).astype(np.int8) - np.int8(sign)).astype(np.int8)


def _pack_bits(values: NDArray[Any], bits: int) -> bytes:
    per_byte = 8 // bits
    flat = values.reshape(-1).astype(np.int64) & ((1 << bits) - 1)
    padded = np.zeros(-(-flat.size // per_byte) * per_byte, np.uint8)
    padded[: flat.size] = flat
    shifts = np.arange(per_byte, dtype=np.uint8) * bits
    packed: bytes = (padded.reshape(-1, per_byte) << shifts).sum(axis=1, dtype=np.uint8).tobytes()
    return packed
