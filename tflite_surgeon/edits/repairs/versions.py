"""Repairs of operator codes: versions as low as what the operators use allows, and kinds that runtimes lack."""

from __future__ import annotations

from tflite_surgeon.edits.draft import Draft
from tflite_surgeon.edits.repairs.registry import Done, Phase, Refused, Result, Target, Wish, repair
from tflite_surgeon.edits.runtime_record import record_oldest_runtime
from tflite_surgeon.knowledge.construction.opcodes import CUSTOM
from tflite_surgeon.knowledge.minimum_versions import Demand, minimum_version
from tflite_surgeon.knowledge.operator_versions import versions, versions_2_14
from tflite_surgeon.model.objects import OLD_FIELD_HOLDS, OperatorCode

_RUNTIMES = (("LiteRT 2.3", versions), ("tflite-runtime 2.14", versions_2_14))


@repair(
    "operator-version",
    Phase.VERSIONS,
    "Gives the operator code the lowest version that has all that its operators use: types, options, scales for each "
    "channel, numbers of dimensions. The record of the oldest runtime (min_runtime_version) follows.",
    "An operator that uses what a runtime's kernel does not have yet needs a newer runtime, whatever its version says.",
)
def operator_version(draft: Draft, target: Target, wish: Wish) -> Result:
    """The version of all operator codes of one kind that have the same one."""
    details = target.finding.details
    name, version = details.get("operator"), details.get("version")
    codes = [code for code in draft.model.operator_codes or () if (code.name, code.version) == (name, version)]
    if not codes:
        return None
    # One version for all operators of a code: LiteRT looks for a kernel for every code that is listed, so that two
    # codes with a version each would load nowhere where the higher one does not.
    demands = [_demand(draft, code) for code in codes]
    highest = max(demands)
    if not any(
        _has(table().get(codes[0].name), highest.version) and not _has(table().get(codes[0].name), codes[0].version)
        for _, table in _RUNTIMES
    ):
        return Refused(_too_new(codes[0].name, highest))
    for code, demand in zip(codes, demands):
        draft.set(code, "version", demand.version)
        # Readers from before 2021 know the old field alone.
        draft.set(code, "deprecated_builtin_code", min(code.code, OLD_FIELD_HOLDS))
    recorded = record_oldest_runtime(draft)
    what = f"{name} is of version {highest.version} instead of {version}"
    if recorded is not None:
        what += f", and the recorded oldest runtime is {recorded}"
    reason = f"{highest.reason}: no lower version has that" if highest.reason else "no operator uses more than it has"
    return Done(what, reason)


def _demand(draft: Draft, code: OperatorCode) -> Demand:
    """The highest of the lowest versions that the operators of a code need; of an unused one, the first there is."""
    found = [minimum_version(node.operator) for node in draft.model.nodes() if node.operator.opcode is code]
    return max(found, default=Demand(versions().get(code.name, (1, 1))[0], ""))


def _has(known: tuple[int, int] | None, version: int) -> bool:
    return known is not None and known[0] <= version <= known[1]


def _too_new(name: str, demand: Demand) -> str:
    ranges = [f"{runtime} up to version {known[1]}" for runtime, table in _RUNTIMES if (known := table().get(name))]
    why = f", because {demand.reason}" if demand.reason else ""
    return f"{name} needs version {demand.version}{why}; {' and '.join(ranges)} have kernels: use a newer runtime"


# Kinds without a kernel

_REMOVES = (
    "Takes operator codes out of the list that no operator names: runtimes look for a kernel for each that is listed."
)
_NEEDS_KERNEL = "What an operator computes has to be in the runtime: the file cannot bring it."


@repair("operator-availability", Phase.FILE, _REMOVES, _NEEDS_KERNEL)
def operator_availability(draft: Draft, target: Target, wish: Wish) -> Result:
    """Operator codes that a runtime has no kernel for."""
    return _removed(draft, target)


@repair("unknown-operator", Phase.FILE, _REMOVES, _NEEDS_KERNEL)
def unknown_operator(draft: Draft, target: Target, wish: Wish) -> Result:
    """Operator codes of numbers that a runtime does not know."""
    return _removed(draft, target)


def _removed(draft: Draft, target: Target) -> Result:
    used = {id(node.operator.opcode) for node in draft.model.nodes()}
    lacking = [code for code in draft.model.operator_codes or () if not _is_everywhere(code)]
    if target.operator is not None or any(id(code) in used for code in lacking):
        name = target.operator.name if target.operator is not None else next(c.name for c in lacking if id(c) in used)
        return Refused(f"a node is {name}: replace it in the source model, or use a runtime that has it")
    for code in lacking:
        draft.remove(draft.model, "operator_codes", code)
    names = ", ".join(code.name for code in lacking)
    return Done(f"{names} is no longer listed", "no node is of that kind") if lacking else None


def _is_everywhere(code: OperatorCode) -> bool:
    return code.code == CUSTOM or all(code.name in table() for _, table in _RUNTIMES)
