"""The house: rooms import downward only, heavy packages are imported by one room each, and late."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import tflite_surgeon as ts
from tests.flatbuffer import samples

PACKAGE = Path(__file__).resolve().parents[1] / "tflite_surgeon"
ROOT = "tflite_surgeon"

# A room may import from the rooms below it, and from itself.
FLOORS = {
    "errors": 0,
    "flatbuffer": 1,
    "quantization": 2,
    "knowledge": 2,
    "model": 3,
    "rules": 4,
    "edits": 5,
    "views": 5,
    "verification": 5,
    "report": 6,
    "cli": 7,
    "__main__": 8,
}
# Beside the house: the interpreter in its child process, which knows nothing of models.
RUNTIME = {"runtime", "_runtime_worker"}
LONGEST = 400
# Longer, each with its reason.
LONG = {
    "flatbuffer/_schema.py": "generated",
    "runtime.py": "one protocol with a child process, from start to post-mortem",
}


class Import(NamedTuple):
    """room: what is imported from; late: inside a function; for_types: under TYPE_CHECKING."""

    file: str
    line: int
    room: str
    late: bool
    for_types: bool


def room_of(file: Path) -> str:
    first = file.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(text: str, file: str) -> Iterator[Import]:
    """Every import of the package itself and, by its top name, of others."""

    def visit(node: ast.AST, late: bool, for_types: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(file, node.lineno, name_of(alias.name), late, for_types)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: imports are absolute here"
            assert node.module is not None
            if node.module == ROOT:
                for alias in node.names:
                    yield Import(file, node.lineno, alias.name, late, for_types)
            else:
                yield Import(file, node.lineno, name_of(node.module), late, for_types)
        late = late or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for child in node.body:
                yield from visit(child, late, True)
            for child in node.orelse:
                yield from visit(child, late, for_types)
            return
        for child in ast.iter_child_nodes(node):
            yield from visit(child, late, for_types)

    def name_of(module: str) -> str:
        parts = module.split(".")
        return parts[1] if parts[0] == ROOT and len(parts) > 1 else f"package:{parts[0]}"

    yield from visit(ast.parse(text), False, False)


FILES = sorted(PACKAGE.rglob("*.py"))


def all_imports() -> Iterator[tuple[str, Import]]:
    for path in FILES:
        for found in imports(path.read_text(), str(path.relative_to(PACKAGE))):
            yield room_of(path), found


def fault(room: str, found: Import) -> str | None:
    """What is wrong with an import, if something is."""
    where = f"{found.file}:{found.line}: {room} imports {found.room}"
    if found.room.startswith("package:") or found.room == room:
        return None
    if room == "__init__":
        return None  # The front door: names of every room, imported when they are first used.
    if room in RUNTIME:
        return None if found.room in RUNTIME | {"errors"} else where
    if found.room in RUNTIME:
        return None if FLOORS[room] >= FLOORS["rules"] else where
    if found.room == "__version__":  # For --version, and for journals, which name the tool that wrote them.
        return None if room in ("cli", "edits") else where
    if room == "knowledge" and found.room == "model":  # Its facts are about models, and models look facts up.
        return None if found.late or found.for_types else where
    if room == "model" and found.room == "knowledge":
        return None if found.late else where
    if FLOORS[found.room] > FLOORS[room]:
        return where
    return None


def test_every_file_belongs_to_a_room() -> None:
    assert {room_of(path) for path in FILES} - set(FLOORS) - RUNTIME == {"__init__"}
    assert len(FILES) > 30


def test_rooms_import_downward_only() -> None:
    assert [text for room, found in all_imports() if (text := fault(room, found))] == []


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("flatbuffer", "from tflite_surgeon.model.objects import Model"),
        ("flatbuffer", "from tflite_surgeon.model import objects"),
        ("model", "import tflite_surgeon.rules.registry"),
        ("model", "from tflite_surgeon.knowledge.operators import ROLES"),
        ("knowledge", "from tflite_surgeon.model.objects import Model"),
        ("rules", "from tflite_surgeon import edits"),
        ("rules", "def f():\n    from tflite_surgeon.edits import plan"),
        ("edits", "from tflite_surgeon.report import console"),
        ("report", "from tflite_surgeon.cli import app"),
        ("runtime", "from tflite_surgeon.model.files import load"),
        ("errors", "from tflite_surgeon.flatbuffer import schema"),
        ("model", "from tflite_surgeon.runtime import Session"),
    ],
)
def test_an_import_upward_is_seen(room: str, line: str) -> None:
    (found,) = [item for item in imports(line, "x.py") if not item.room.startswith("package:")]
    assert fault(room, found) is not None


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("knowledge", "if TYPE_CHECKING:\n    from tflite_surgeon.model.objects import Model"),
        ("knowledge", "def f():\n    from tflite_surgeon.model.objects import Model"),
        ("model", "def f():\n    from tflite_surgeon.knowledge.operators import ROLES"),
        ("cli", "from tflite_surgeon.model.files import load"),
    ],
)
def test_an_import_downward_is_not(room: str, line: str) -> None:
    assert [fault(room, item) for item in imports(line, "x.py")] == [None]


def users(package: str) -> set[str]:
    return {room for room, found in all_imports() if found.room == f"package:{package}"}


def test_only_the_report_prints_with_rich_and_only_the_command_line_is_typer() -> None:
    assert users("rich") == {"report"}
    assert users("typer") == {"cli"}


def test_the_interpreter_is_never_imported_in_this_process() -> None:
    assert users("ai_edge_litert") | users("tflite_runtime") | users("tflite_micro") | users("tensorflow") <= RUNTIME


def test_no_module_is_too_long() -> None:
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in FILES}
    assert {name for name, length in lengths.items() if length > LONGEST} == set(LONG)


def test_there_is_no_utils_module() -> None:
    assert [path.name for path in FILES if path.stem in ("utils", "util", "helpers", "common", "misc")] == []


HEAVY = ("numpy", "rich", "typer", "tflite", "flatbuffers", "ai_edge_litert")


def heavy_after(code: str) -> list[str]:
    """Which heavy packages are imported after some code, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*[m for m in {HEAVY} if m in sys.modules])"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert heavy_after("import tflite_surgeon") == []


def test_reading_and_rewriting_a_model_imports_nothing_heavy(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(ts.dumps(samples.dense()))
    code = f"import tflite_surgeon as ts\nmodel = ts.load({str(path)!r})\nts.dumps(model)\nts.dumps(model, 'reencode')"
    assert heavy_after(code) == []


def test_the_check_sees_what_is_imported() -> None:
    assert heavy_after("import numpy") == ["numpy"]
