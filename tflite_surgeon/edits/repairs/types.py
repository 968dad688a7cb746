"""Types that a kernel does not take: constants rewritten, or conversions put around the node.

Many conversions keep the meaning; which of them a kernel then takes is asked of its model, in a graph of that node
alone. The one that suits most of the runtimes that count, and loses least, is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from tflite_surgeon.edits.constants import parameters_of
from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.islands import (
    BOOL,
    FLOAT,
    Impossible,
    Island,
    Trouble,
    asks_truth,
    standing,
    stopped,
    troubles,
)
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.repairs.stored_types import copied_type, restored_type
from tflite_surgeon.errors import SurgeonError
from tflite_surgeon.flatbuffer.schema import enum_class
from tflite_surgeon.flatbuffer.tables import Table
from tflite_surgeon.model.objects import Operator, Tensor
from tflite_surgeon.quantization import LIMITS

_DOES = (
    "Rewrites constants in a type that the kernel reads, where every value fits. Else puts QUANTIZE, DEQUANTIZE or "
    "CAST around the node, so that it computes in types that it has a kernel for; of all that a kernel takes, what "
    "loses least. Types that a tensor cannot have been given (weights of UINT8 with the zero point 0, activations of "
    "INT32 with a scale) are written as those of the node's other tensors."
)
_LACKS = (
    "Where no conversion that keeps the values makes types that the runtimes have kernels for, the model has to be "
    "converted again."
)
# How each operator may be asked to compute, in the order of what is tried; its own types first.
_WHOLE = ("INT8", "INT16", "INT32", "INT64", BOOL, FLOAT)
_ABSENT = "operator-availability"
_MAKES_BOOL = ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL")
# What axes, permutations and shapes are stored as.
_PARAMETERS = ("INT32", "INT64")
_ARGUMENT_MAXIMUM = ("ARG_MAX", "ARG_MIN")
_CONTROL = ("IF", "WHILE", "CALL", "CALL_ONCE", "STABLEHLO_COMPOSITE", "VAR_HANDLE", "READ_VARIABLE")


class Place(NamedTuple):
    """An input or output of an operator."""

    is_input: bool
    position: int
    tensor: Tensor


_KNOWN = frozenset(enum_class("TensorType").__members__)
# Rules about how many tensors a node has, and of how many dimensions.
_STRUCTURE = frozenset({"tensor-count", "tensor-rank"})


class Attempt(NamedTuple):
    """A way to other types that was tried.

    Attributes:
        rank: how good it is; the greatest is best.
        leaves: a runtime that counts would still find fault with the types.
        served: the runtimes that count and then find no fault.
        make: makes it once more.
    """

    rank: tuple[int, ...]
    leaves: bool
    served: tuple[str, ...]
    make: Callable[[], Island]


@repair("operator-types", Phase.TYPES, _DOES, _LACKS)
def operator_types(draft: Draft, target: Target, wish: Wish) -> Result:
    """Types that an operator has no kernel for."""
    operator = target.operator
    if operator is not None and operator.name in _ARGUMENT_MAXIMUM and "output_type" in target.finding.message:
        return _index_type(draft, operator)
    return suited(draft, target, wish)


@repair("same-type", Phase.TYPES, _DOES, _LACKS)
def same_type(draft: Draft, target: Target, wish: Wish) -> Result:
    """Tensors of different types where the kernel takes one."""
    return suited(draft, target, wish)


def suited(draft: Draft, target: Target, wish: Wish) -> Result:
    """Give a node types that its kernel takes."""
    operator, tensor = target.operator, target.tensor
    if operator is None or tensor is None:
        return Refused("the finding names no node and tensor to convert at")
    if operator.name in _CONTROL:
        return Refused(f"the types of {operator.name} are those of other subgraphs")
    rule = target.finding.rule
    try:
        found = troubles(draft, [operator])
        if any(trouble.rule in _STRUCTURE for trouble in found):
            return Refused(
                f"the tensors of {operator.name} are not those that its kernel takes, in number or dimensions"
            )
        absent = {trouble.runtime for trouble in found if trouble.rule == _ABSENT} - set(wish.targets)
        found = {trouble for trouble in found if trouble.runtime not in absent}
        before = {name: how for name, how in standing(found, rule, found).items() if name not in absent}
        if min(before.values(), default=1) > 0:
            return None
        mark = draft.mark()
        stored = restored_type(draft, operator, tensor, wish)
        if stored is not None and not stopped(troubles(draft, [operator])) - stopped(found):
            return stored
        draft.back_to(mark)
        unknown = next((place.tensor for place in _places(operator) if place.tensor.type_name not in _KNOWN), None)
        if unknown is not None:
            return Refused(f"{unknown.name!r} is of {unknown.type_name}, which nothing converts: write its type first")
        type_name = tensor.type_name
        attempts = list(_attempts(draft, target, wish, found, before))
        best = max((one for one in attempts if not one.leaves), key=lambda one: one.rank, default=None)
        if best is None:
            copied = copied_type(draft, operator)
            return copied if copied is not None else Refused(_nothing(operator, tensor, attempts))
        island = best.make()
    except SurgeonError as error:
        return Refused(str(error))
    return _told(island, type_name, before)


def _nothing(operator: Operator, tensor: Tensor, found: Sequence[Attempt]) -> str:
    reason = (
        f"no conversion that keeps the values of {tensor.name!r} ({tensor.type_name}) makes types that the runtimes "
        f"have a kernel of {operator.name} for: convert the model again"
    )
    served = max((one.served for one in found), key=len, default=())
    if served:
        reason += f", or settle for {' and '.join(served)} with --target, for which there is one"
    return reason


def _told(island: Island, type_name: str, before: dict[str, int]) -> Done:
    inserted = [operator for operator in island.operators if operator is not island.operator]
    name, kinds = island.name, " and ".join(dict.fromkeys(island.types))
    was_fine = ", ".join(runtime for runtime, how in before.items() if how == 2)
    loses = list(island.loses)
    warnings: tuple[str, ...] = ()
    if not inserted:
        what = f"the constants of {name} are written as {kinds}"
        reason = "" if island.loses else f"{name} has a kernel for it, and every value is kept"
        if FLOAT in island.types and was_fine:
            warnings = (f"{name} computes in floats in {was_fine} too, which rounded its input before",)
    else:
        around = ", ".join(dict.fromkeys(operator.name for operator in inserted))
        what = f"{name} computes in {kinds}, with {around} around it"
        reason = f"there is no kernel of {name} for {type_name} as stored"
        if FLOAT in island.types and any(operator.name == "QUANTIZE" for operator in inserted) and was_fine:
            loses.append(f"results in {was_fine}, which had a kernel, may move by one output quantum")
    return Done(what, reason, None, None, "; ".join(loses), warnings)


def _index_type(draft: Draft, operator: Operator) -> Result:
    """The option that names the type of the indices, from the output that holds them."""
    results = [item for item in operator.outputs or () if isinstance(item, Tensor)]
    has_option = hasattr(operator.builtin_options, "output_type")
    if not results or results[0].type_name not in ("INT32", "INT64") or not has_option:
        return Refused(f"{operator.name} has no option for the type, or its output is neither INT32 nor INT64")
    kind = results[0].type_name
    draft.set(operator.builtin_options, "output_type", enum_class("TensorType")[kind])
    what = f"output_type of {operator.name} is written as {kind}"
    return Done(what, f"the output {results[0].name!r} is stored as {kind}")


# What may be tried


def _attempts(
    draft: Draft, target: Target, wish: Wish, found: set[Trouble], before: dict[str, int]
) -> Iterator[Attempt]:
    """Ways that are better for a runtime and worse for none."""
    operator, tensor, rule = target.operator, target.tensor, target.finding.rule
    assert operator is not None
    assert tensor is not None
    has_steps = any(place.tensor.type_name == "UINT8" for place in _places(operator) if not place.is_input)
    for number, (places, type_name, peer) in enumerate(_ways(operator, tensor)):
        for in_steps in (False, True)[: 1 + (has_steps and type_name == FLOAT)]:
            make = _maker(draft, operator, places, type_name, peer, in_steps)
            mark = draft.mark()
            try:
                island = make()
                all_after = standing(troubles(draft, island.operators, operator), rule, found)
            except Impossible:
                continue
            finally:
                draft.back_to(mark)
            after = {name: all_after[name] for name in before}
            if any(after[name] < how for name, how in before.items()) or after == before:
                continue
            counting = [name for name in wish.targets if name in after]
            wanted, gained = sum(after[name] for name in counting), sum(after.values())
            served = tuple(name for name in counting if after[name] > 0)
            rank = (wanted, gained, -len(island.loses), -len(island.operators), -number)
            yield Attempt(rank, len(served) < len(counting), served, make)
            if not island.loses and set(after.values()) == {2}:
                return


def _maker(
    draft: Draft, operator: Operator, places: tuple[Place, ...], type_name: str, peer: Tensor | None, in_steps: bool
) -> Callable[[], Island]:
    def make() -> Island:
        island = Island(draft, operator, in_steps)
        for place in places:
            if place.is_input:
                island.convert_input(place.position, type_name, peer)
            else:
                island.convert_output(place.position, type_name)
        return island

    return make


def _ways(operator: Operator, tensor: Tensor) -> Iterator[tuple[tuple[Place, ...], str, Tensor | None]]:
    """Sets of tensors to convert, with a type, and a tensor of that type whose scale is wanted."""
    name = operator.name
    places = [place for place in _places(operator) if place.is_input or name not in _MAKES_BOOL]
    found = [place for place in places if place.tensor is tensor]
    alike = [place for place in places if place.tensor.type_name == tensor.type_name]
    # Kernels give the output the first input's type: one is not converted without the other.
    is_tied = any(place.is_input and place.position == 0 and not asks_truth(name, 0) for place in found) and any(
        not place.is_input for place in alike
    )
    groups = [
        [] if is_tied else found,
        [*found, *(place for place in alike if not place.is_input)],
        [place for place in alike if not _is_parameter(place)],
        alike,
        [place for place in places if not _is_parameter(place) and _is_number(place.tensor)],
    ]
    seen: set[tuple[tuple[bool, int], ...]] = set()
    for group in groups:
        unique = {(place.is_input, place.position): place for place in group}
        if tuple(unique) in seen:
            continue
        seen.add(tuple(unique))
        for type_name in _WHOLE:
            peers = [p.tensor for p in places if p.tensor.type_name == type_name and parameters_of(p.tensor)]
            wanting = tuple(place for place in unique.values() if place.tensor.type_name != type_name)
            parameters = [place for place in wanting if _is_parameter(place)]
            if not wanting or (parameters and type_name not in _PARAMETERS and (group is found or len(parameters) > 1)):
                continue
            if peers:
                yield wanting, type_name, peers[0]
            yield wanting, type_name, None


def _places(operator: Operator) -> Iterable[Place]:
    for is_input, items in ((True, operator.inputs), (False, operator.outputs)):
        for position, item in enumerate(items or ()):
            if isinstance(item, Table) and isinstance(item, Tensor):
                yield Place(is_input, position, item)


def _is_parameter(place: Place) -> bool:
    """Whether it is a constant that tells what to do, such as axes; then no data are in it."""
    tensor = place.tensor
    wide = tensor.type_name in ("INT32", "INT64")
    return place.is_input and place.position > 0 and tensor.data is not None and wide and tensor.quantization is None


def _is_number(tensor: Tensor) -> bool:
    return tensor.type_name in LIMITS or tensor.type_name in ("FLOAT32", "FLOAT16")
