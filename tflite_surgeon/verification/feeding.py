"""The same inputs for two models that may store them differently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zipfile import BadZipFile

import numpy as np

from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.quantization import is_usable_scale
from tflite_surgeon.runtime import TensorDetail, sample_inputs
from tflite_surgeon.verification.measuring import Gauge, gauge
from tflite_surgeon.verification.subject import Subject
from tflite_surgeon.views.tensors import implied_range

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tflite_surgeon.model.objects import Tensor

# What a float input without any known range is drawn from.
DEFAULT_RANGE: Final = (-1.0, 1.0)
_DRAWN: Final = frozenset({"INT8", "UINT8", "INT16", "UINT16"})
_FLOATS: Final = frozenset({"float16", "float32", "float64"})


def drawn(
    before: Subject, after: Subject, order: Sequence[int], details: Sequence[TensorDetail], seed: int, run: int
) -> list[NDArray[Any]]:
    """Random inputs for BEFORE, of the shapes and types in `details`; a function of seed, run and models alone.

    Quantised integers are drawn from all that their type holds, floats from the range that is known of them, else from
    DEFAULT_RANGE. Anything else is as `runtime.sample_inputs` makes it.
    """
    found = []
    samples = sample_inputs(details, seed + run)
    for number, (tensor, detail) in enumerate(zip(before.inputs, details)):
        generator = np.random.default_rng([seed, run, number])
        if tensor.type_name in _DRAWN and detail.dtype == tensor.type_name.lower():
            limits = np.iinfo(detail.dtype)
            array = generator.integers(limits.min, limits.max, detail.shape, detail.dtype, endpoint=True)
        elif detail.dtype in _FLOATS:
            low, high = known_range(before, after, tensor, after.inputs[order[number]])
            array = np.asarray(generator.uniform(low, high, detail.shape)).astype(detail.dtype)
        else:
            array = samples[number]
        found.append(array)
    return found


def known_range(before: Subject, after: Subject, tensor: Tensor, partner: Tensor) -> tuple[float, float]:
    """What is known of a float input's range: recorded in either model, implied by its scale or QUANTIZE in either."""
    for candidate in (tensor, partner):
        quantization = candidate.quantization
        if quantization is not None and quantization.min and quantization.max:
            low, high = min(quantization.min), max(quantization.max)
            if np.isfinite([low, high]).all() and low < high:
                return low, high
    for subject, candidate in ((before, tensor), (after, partner)):
        implied = _implied(subject, candidate)
        if implied is not None:
            return implied
    return DEFAULT_RANGE


def _implied(subject: Subject, tensor: Tensor) -> tuple[float, float] | None:
    if gauge(tensor).scales:
        return implied_range(tensor)
    for end in subject.wiring.readers(tensor):
        result = (end.operator.outputs or [None])[0]
        scales = getattr(getattr(result, "quantization", None), "scale", None) or ()
        if end.operator.name == "QUANTIZE" and scales and is_usable_scale(scales[0]):
            return implied_range(result)  # type: ignore[arg-type]  # what has a scale is a tensor
    return None


def converted(array: NDArray[Any], source: Gauge, target: Gauge, dtype: str, name: str) -> NDArray[Any]:
    """An input as another model stores it: the same bits where it stores alike, else the nearest real values.

    Raises:
        SurgeonError: one is text and the other is not, or the target has several scales.
    """
    kind = "bytes" if array.dtype.kind in "SUO" else array.dtype.name
    if kind == dtype and replace(source, type_name="") == replace(target, type_name=""):
        return array
    if "bytes" in (kind, dtype) or len(target.scales) > 1:
        raise SurgeonError(f"input {name!r} is {kind} in one model and {dtype} in the other")
    return target.stored(source.real(array), dtype)


def as_real(array: NDArray[Any], source: Gauge) -> NDArray[Any]:
    """An input for the float copy: the real values of quantised integers, all else as it is."""
    return source.real(array).astype(np.float32) if source.scales else array


def read_arrays(path: Path, subject: Subject) -> list[NDArray[Any]]:
    """The inputs of an .npz file in the order of the model's inputs, by names of signatures or of tensors.

    Raises:
        SurgeonError: it cannot be read, or lacks an input, or has one that the model does not have.
    """
    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            raise SurgeonError(f"{path} holds a single array: save inputs by name with numpy.savez")
        with file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, BadZipFile) as error:
        raise SurgeonError(f"the inputs {path} cannot be read: {error}") from None
    by_signature = {id(tensor): name for name, tensor in subject.signature_names(inputs=True).items()}
    found, used = [], set()
    for number, tensor in enumerate(subject.inputs):
        names = [name for name in dict.fromkeys((by_signature.get(id(tensor)), tensor.name)) if name]
        name = next((name for name in names if name in arrays), None)
        if name is None:
            raise SurgeonError(
                f"{path} has no array for input {number}: {' or '.join(map(repr, names)) or 'it has no name'}; "
                f"it has {', '.join(map(repr, arrays)) or 'none'}"
            )
        used.add(name)
        found.append(arrays[name])
    if set(arrays) - used:
        raise SurgeonError(f"{path} has arrays for no input: {', '.join(map(repr, sorted(set(arrays) - used)))}")
    return found


def given(arrays: Sequence[NDArray[Any]], subject: Subject, details: Sequence[TensorDetail]) -> list[NDArray[Any]]:
    """Arrays of a file as BEFORE takes them: of its type as they are, floats as real values to be quantised.

    Raises:
        SurgeonError: an array is of another type that does not stand for the same.
    """
    found = []
    for array, tensor, detail in zip(arrays, subject.inputs, details):
        kind = "bytes" if array.dtype.kind in "SUO" else array.dtype.name
        scales = gauge(tensor)
        expected = [own if own >= 0 else None for own in tensor.shape_signature or detail.shape]
        if len(expected) != array.ndim or any(own not in (None, side) for own, side in zip(expected, array.shape)):
            words = ", ".join("any" if own is None else str(own) for own in expected)
            raise SurgeonError(f"input {tensor.name!r} has shape [{words}], the file has {list(array.shape)}")
        if kind == detail.dtype:
            found.append(array)
        elif array.dtype.kind == "f" and (detail.dtype in _FLOATS or len(scales.scales) == 1):
            found.append(scales.stored(array.astype(np.float64), detail.dtype))
        elif (
            array.dtype.kind in "iu"
            and np.dtype(detail.dtype).kind in "iu"
            and np.all(array.astype(detail.dtype) == array)
        ):
            found.append(array.astype(detail.dtype))
        else:
            raise SurgeonError(f"input {tensor.name!r} takes {detail.dtype}, the file has {kind}")
    return found
