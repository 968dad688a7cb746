"""How often predictions agree with what runtimes were recorded to do, with every disagreement and its cause.

    TFLITE_SURGEON_MODELS=... python -m tests.collection.agreement [--only TEXT] [--mode TEXT] [--text TEXT]

The folder holds manifest.jsonl (models) and broken.jsonl (patches that damage some of them), with what each runtime
says of each.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conditions.prediction import explaining, predicted
from tflite_surgeon.rules.verdicts import Verdict

# The recorded modes, and our names for them.
MODES = {
    "litert_default": "litert",
    "litert_nodelegate": "litert-no-delegate",
    "tflrt_default": "tflite-2.14",
    "tflrt_nodelegate": "tflite-2.14",
    "tflm": "tflm",
}
# The delegate's own node has a number behind those of the file; it may say which of these it could not define.
_NODES = (
    re.compile(r"Node number (\d+) \((?!TfLiteXNNPackDelegate)"),
    re.compile(r"Node \w+ \(number (\d+)\)"),
    re.compile(r"failed to (?:delegate|update filter tensor) \w+ node #(\d+)"),
)


@dataclass
class Comparison:
    """One model in one mode.

    loads, node, rule, runs, crashes: whether prediction and record agree; None where it does not apply.
    """

    file: str
    mode: str
    recorded: str
    message: str
    verdict: Verdict
    loads: bool | None = None
    node: bool | None = None
    rule: bool | None = None
    runs: bool | None = None
    crashes: bool | None = None
    is_unknown: bool = False


def folder() -> Path:
    return Path(os.environ["TFLITE_SURGEON_MODELS"])


def rows(only: str = "") -> Iterator[dict[str, Any]]:
    for name in ("manifest.jsonl", "broken.jsonl"):
        for line in (folder() / name).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if only in row["file"]:
                yield row


def content(row: dict[str, Any]) -> bytes:
    """The bytes of a model, damaged where the row says so."""
    data = bytearray((folder() / row.get("base", row["file"])).read_bytes())
    for offset, patch in row.get("patches", ()):
        data[offset : offset + len(patch) // 2] = bytes.fromhex(patch)
    return bytes(data[: row.get("truncate") or len(data)])


def compare(row: dict[str, Any]) -> list[Comparison]:
    found = predicted(content(row))
    return [
        _compared(row["file"], mode, recorded, found[MODES[mode]])
        for mode, recorded in row["runtimes"].items()
        if mode in MODES
    ]


def _compared(file: str, mode: str, recorded: dict[str, Any], verdict: Verdict) -> Comparison:
    said, message = recorded["verdict"], recorded.get("message") or ""
    result = Comparison(file, mode, said, message, verdict)
    crashed = said.startswith("crash:")
    stage = said.partition(":")[2]
    # Of TFLM, which constructs and allocates in one step, a crash is recorded without its stage.
    loaded = None if stage.startswith("SIG") else said == "ok" or stage == "invoke"
    if verdict.loads is None:
        result.is_unknown = True
        return result
    if loaded is not None:
        result.loads = verdict.loads == loaded
    if said.startswith("fail:") and verdict.runs is False and loaded == verdict.loads:
        number = next((int(m[1]) for p in _NODES if (m := p.search(message))), None)
        if number is not None:
            result.node = verdict.operator == number
        result.rule = explaining(message) == {verdict.rule}
    if loaded and verdict.loads and verdict.runs is not None:
        result.runs = verdict.runs == (said == "ok")
    if verdict.crashes is not None:
        result.crashes = verdict.crashes == crashed
    return result


def compare_all(only: str = "") -> list[Comparison]:
    with ProcessPoolExecutor() as pool:
        return [one for found in pool.map(compare, rows(only), chunksize=8) for one in found]


# Why predictions and records differ, by file and by our name of the runtime.
CAUSES = {
    ("add_quantized_int8__09_op_input_index.tflite", "tflite-2.14"): "the default delegate of 2.14 goes on after the "
    "bad index and prints a second text, of another rule",
}


def cause(one: Comparison) -> str:
    """Why a prediction and a record differ, where that is known."""
    return CAUSES.get((one.file.rpartition("/")[2], MODES[one.mode]), "not known")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="files whose name holds this text")
    parser.add_argument("--mode", default="", help="modes whose name holds this text")
    parser.add_argument("--text", default="", help="disagreements whose recorded message or rule holds this text")
    options = parser.parse_args()
    compared = [one for one in compare_all(options.only) if options.mode in one.mode]
    for one in compared:
        off = [name for name in ("loads", "node", "rule", "runs", "crashes") if getattr(one, name) is False]
        line = (
            f"{one.mode} {one.file}: {', '.join(off)}; recorded {one.recorded} {one.message!r}; predicted {one.verdict}"
        )
        if off and options.text in line:
            print(f"{line}\n    cause: {cause(one)}")
    print(summary(compared))


def summary(compared: list[Comparison]) -> str:
    """A line for each mode: how many agree, of how many that were predicted."""
    lines = []
    for mode in MODES:
        mine = [one for one in compared if one.mode == mode]
        counts = {
            name: Counter(getattr(one, name) for one in mine) for name in ("loads", "node", "rule", "runs", "crashes")
        }
        unknown = sum(one.is_unknown for one in mine)
        parts = [f"{name} {c[True]}/{c[True] + c[False]}" for name, c in counts.items()]
        lines.append(f"{mode:18} {'  '.join(parts)}  unknown {unknown}/{len(mine)}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
