"""How many damaged models are repaired: they load again wherever their base does, and compute what it computes.

    TFLITE_SURGEON_MODELS=... python -m tests.collection.repairs [--kind TEXT] [--only TEXT] [--keep READING] [--rows]

The folder holds broken.jsonl (patches that damage models), with what each runtime says of them.
"""

from __future__ import annotations

import argparse
import functools
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tflite_surgeon as ts
from tests.collection.agreement import MODES, content, folder, rows
from tests.conditions.case import NAMES
from tests.interpreters import session
from tflite_surgeon.edits.repairs import registry
from tflite_surgeon.runtime import Run

SEEDS = (0, 1)
# Of float outputs that no scale says a quantum of: a share of the largest value.
_FLOAT_QUANTUM = 1e-4

REPAIRED = "repaired"
SAME = "harmless"  # It loads and computes what its base does, and there is nothing to repair.
OPEN = "open"  # The file does not tell which of two readings is right; the person is told both commands.
REFUSED = "refused"
UNREADABLE = "unreadable"
MISSED = "missed"  # Something was repaired or not, and it does not load, or computes something else.


@dataclass
class Result:
    """What became of a damaged model.

    Attributes:
        row: its row in broken.jsonl.
        outcome: one of the words above.
        quanta: by how much its outputs are off the base's, in quanta, in the worst mode.
        why: what is missing or what went wrong.
        repaired: the rules whose findings were repaired.
    """

    row: dict[str, Any]
    outcome: str
    quanta: float = 0.0
    why: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return str(self.row["edit"]["kind"])


def damaged(kind: str = "", only: str = "") -> Iterator[dict[str, Any]]:
    for row in rows(only):
        if "patches" in row and row["edit"]["kind"].startswith(kind):
            yield row


@functools.cache
def _recorded() -> dict[str, dict[str, Any]]:
    return {row["file"]: row["runtimes"] for row in rows() if "patches" not in row}


def runtimes_of_base(row: dict[str, Any]) -> list[str]:
    """The runtimes in which the undamaged model runs, in every mode that was recorded."""
    recorded = _recorded()[row["base"]]
    failing = {name for mode, name in MODES.items() if recorded.get(mode, {}).get("verdict") != "ok"}
    return [name for name in NAMES if name not in failing]


@functools.lru_cache(maxsize=32)
def _run_of_base(base: str, runtime: str, seed: int) -> Run:
    return session(runtime).run((folder() / base).read_bytes(), seed=seed)


def _quanta(base: ts.Model, first: Run, second: Run) -> float:
    """The largest difference of two runs' outputs, in quanta of the base's outputs."""
    worst = 0.0
    graph = base.subgraphs[0]
    for index, (one, other) in enumerate(zip(first.outputs[0], second.outputs[0], strict=True)):
        if one.shape != other.shape or one.dtype != other.dtype:
            return float("inf")
        if one.dtype.kind in "iub":
            difference = np.abs(one.astype(np.int64) - other.astype(np.int64)).max(initial=0)
            worst = max(worst, float(difference))
            continue
        largest = float(np.abs(one[np.isfinite(one)]).max(initial=0.0))
        scale = _quantum(graph, graph.outputs[index]) or _FLOAT_QUANTUM * largest or 1.0
        if not np.array_equal(np.isfinite(one), np.isfinite(other)):
            return float("inf")
        apart = np.abs(np.where(np.isfinite(one), one - other, 0.0))
        worst = max(worst, float(apart.max(initial=0.0)) / scale)
    return worst


def _quantum(graph: ts.SubGraph, tensor: Any) -> float | None:
    """The quantum of what is converted to a float output."""
    for operator in graph.operators:
        if tensor in operator.outputs and operator.name == "DEQUANTIZE":
            quantization = operator.inputs[0].quantization
            return float(quantization.scale[0]) if quantization is not None and quantization.scale else None
    return None


def _errors(model: ts.Model, runtimes: list[str]) -> set[str]:
    """The rules with errors in any of these runtimes."""
    return {finding.rule for finding in ts.check(model, runtimes) if finding.severity == ts.Severity.ERROR}


def repair(row: dict[str, Any], keep: str | None = None) -> Result:
    """Repair a damaged model and compare it with its base, as no user could: only the judge knows the base."""
    reading: Any = keep or ("integers" if row["edit"]["kind"].startswith("bias_scale") else "auto")
    runtimes = runtimes_of_base(row)
    base = ts.loads((folder() / row["base"]).read_bytes())
    try:
        damaged = ts.loads(content(row))
        # Where the undamaged one computes something else than it says, a repair would rightly change its outputs.
        sound = [name for name, verdict in ts.verdicts(base).items() if name in runtimes and not verdict.wrong_numbers]
        outcome = ts.fix(damaged, keep=reading, targets=sound or list(NAMES[:2]), lossy=True)
        done, left = list(outcome.repairs), list(outcome.left)
        # There, what is wrong with the damaged one alone.
        more = sorted((_errors(outcome.model, runtimes) - _errors(base, runtimes)) & registry.repairs().keys())
        if more and sound != runtimes:
            outcome = ts.fix(outcome.model, more, reading, targets=runtimes, lossy=True)
            done, left = done + list(outcome.repairs), list(outcome.left)
        written = ts.dumps(outcome.model)
    except ts.SurgeonError as error:
        return Result(row, UNREADABLE, why=[str(error)])
    result = Result(row, REPAIRED, repaired=[item.finding.rule for item in done])
    for runtime in runtimes:
        for seed in SEEDS:
            first, second = _run_of_base(row["base"], runtime, seed), session(runtime).run(written, seed=seed)
            if not first.ok:
                continue
            if not second.ok:
                result.quanta = float("inf")
                result.why.append(f"{runtime}: {second.verdict} {second.message.strip()[:160]}")
                break
            result.quanta = max(result.quanta, _quanta(base, first, second))
    if result.quanta <= 1.0:
        result.outcome = REPAIRED if done else SAME
        return result
    result.why += [f"{item.finding.rule}: {item.refused.reason}" for item in left]
    if any(item.refused.is_open for item in left):
        result.outcome = OPEN
    elif left and not done:
        result.outcome = REFUSED
    else:
        result.outcome = MISSED
    return result


def table(results: list[Result]) -> Iterator[str]:
    """How many of how many for each kind, and those that are not repaired with the reason."""
    words = (REPAIRED, SAME, OPEN, REFUSED, UNREADABLE, MISSED)
    kinds: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        kinds[result.kind].append(result)
    yield f"{'kind':28}{'rows':>6}" + "".join(f"{word:>12}" for word in words)
    for kind, mine in sorted(kinds.items()):
        counts = Counter(result.outcome for result in mine)
        yield f"{kind:28}{len(mine):6}" + "".join(f"{counts[word] or '':>12}" for word in words)
    counts = Counter(result.outcome for result in results)
    yield f"{'all':28}{len(results):6}" + "".join(f"{counts[word] or '':>12}" for word in words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kind", default="", help="only kinds of damage that begin so")
    parser.add_argument("--only", default="", help="only files with this in their name")
    parser.add_argument("--keep", choices=("auto", "values", "integers"))
    parser.add_argument("--rows", action="store_true", help="show every row, not only those that are not repaired")
    arguments = parser.parse_args()
    results = [repair(row, arguments.keep) for row in damaged(arguments.kind, arguments.only)]
    for result in results:
        if arguments.rows or result.outcome not in (REPAIRED, SAME):
            edit = {key: result.row["edit"].get(key) for key in ("op_name", "tensor", "field", "old", "new")}
            print(f"{result.outcome:10} {result.quanta:8.4g} {result.row['file']}  {edit}  {result.repaired}")
            for text in result.why[:4]:
                print(f"{'':20}{text[:240]}")
    print(*table(results), sep="\n")


if __name__ == "__main__":
    main()
