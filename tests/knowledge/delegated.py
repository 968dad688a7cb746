"""Run as a child: for each model path on stdin, say which nodes of its first subgraph the default delegate took.

A line of JSON for each: {"taken": the outputs of each node it took, "error": why the model did not allocate, or ""}.
The delegate is applied when tensors are allocated; kept apart by `experimental_preserve_all_tensors`, every node that
it takes is replaced by one of its own, listed as DELEGATE even where that then fails.
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    from ai_edge_litert.interpreter import Interpreter

    for line in sys.stdin:
        taken, problem = [], ""
        try:
            interpreter = Interpreter(
                model_path=line.rstrip("\n"), num_threads=1, experimental_preserve_all_tensors=True
            )
            try:
                interpreter.allocate_tensors()
            except RuntimeError as error:
                problem = str(error)
            nodes = interpreter._get_ops_details()
            taken = [list(map(int, node["outputs"])) for node in nodes if node["op_name"] == "DELEGATE"]
        except (RuntimeError, ValueError) as error:
            problem = f"construct: {error}"
        print(json.dumps({"taken": taken, "error": problem}), flush=True)


if __name__ == "__main__":
    main()
