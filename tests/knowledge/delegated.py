"""Run as a child: for each model path on stdin, say whether the default delegate took a node of its first subgraph.

A line of JSON for each: {"delegated": bool, "error": why it did not allocate, or ""}. The delegate is applied when
tensors are allocated, and the nodes that replace others are listed as DELEGATE even where they then fail.
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    from ai_edge_litert.interpreter import Interpreter

    for line in sys.stdin:
        names, problem = [], ""
        try:
            interpreter = Interpreter(model_path=line.rstrip("\n"), num_threads=1)
            try:
                interpreter.allocate_tensors()
            except RuntimeError as error:
                problem = str(error)
            names = [detail["op_name"] for detail in interpreter._get_ops_details()]
        except (RuntimeError, ValueError) as error:
            problem = str(error)
        print(json.dumps({"delegated": "DELEGATE" in names, "error": problem}), flush=True)


if __name__ == "__main__":
    main()
