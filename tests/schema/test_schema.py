"""schema/tflite.fbs says what the format is: against its compiled table, and against two readers made elsewhere."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.schema.generated_readers import Reader, accessor_name, folder_of, parse
from tflite_surgeon.flatbuffer import schema

ROOT = Path(__file__).resolve().parents[2]
INTEGERS = set("bBhHiIqQ")


def compile_check(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "schema" / "compile.py"), "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The schema, its compiler and the compiled table, free to damage."""
    shutil.copytree(ROOT / "schema", tmp_path / "schema")
    (tmp_path / "tflite_surgeon" / "flatbuffer").mkdir(parents=True)
    shutil.copy(ROOT / "tflite_surgeon/flatbuffer/_schema.py", tmp_path / "tflite_surgeon/flatbuffer/_schema.py")
    return tmp_path


def test_the_compiled_table_is_current() -> None:
    done = compile_check(ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("schema/tflite.fbs", "block_size:int;", "block_size:long;"),
        ("schema/tflite.fbs", "version:int = 1;", "version:int = 2;"),
        ("schema/tflite.fbs", '(refers_to: "subgraph", as: "init_subgraph")', ""),
        ("tflite_surgeon/flatbuffer/_schema.py", "'STABLEHLO_CASE': 209", "'STABLEHLO_CASE': 210"),
    ],
)
def test_a_difference_between_schema_and_table_is_noticed(copied: Path, file: str, old: str, new: str) -> None:
    assert compile_check(copied).returncode == 0
    text = (copied / file).read_text()
    assert old in text
    (copied / file).write_text(text.replace(old, new, 1))
    done = compile_check(copied)
    assert done.returncode == 1
    assert "run python schema/compile.py" in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("block_size:int;", "block_size:whole;", "unknown type 'whole'"),
        ("values:[int];", "values:[Model];", "is recursive"),
        ("root_type Model;", "root_type Model", "the text ends where ; was expected"),
        ("enum DimensionType :", "enum DimensionType", "expected ':'"),
    ],
)
def test_a_schema_that_makes_no_sense_is_refused(copied: Path, old: str, new: str, says: str) -> None:
    source = copied / "schema" / "tflite.fbs"
    text = source.read_text()
    assert old in text
    source.write_text(text.replace(old, new, 1))
    done = compile_check(copied)
    assert done.returncode == 1
    assert says in done.stderr


def test_revision_and_counts() -> None:
    assert "revision 3d" in (ROOT / "schema/tflite.fbs").read_text().splitlines()[0]
    assert (len(schema.TABLES), len(schema.ENUMS), len(schema.UNIONS)) == (170, 16, 4)
    assert (schema.ROOT, schema.FILE_IDENTIFIER) == ("Model", b"TFL3")


# Against other readers

# Marked deprecated in the schema, for which the compiler generates no accessors.
DEPRECATED = {"ResizeBilinearOptions.new_height", "ResizeBilinearOptions.new_width", "SignatureDef.deprecated_tag"}

# The tflite package, 2.18, was generated from an older revision of the schema.
NEWER_THAN_TFLITE = {
    "MultiAxisQuantization",
    "ExternalBuffer",
    "BlockwiseQuantization",
    "StablehloCaseOptions",
    "ExternalBufferGroup",
    "Model.external_buffer_groups",
    "Model.external_buffers",
    "Tensor.external_buffer",
    "BuiltinOperator.STABLEHLO_CASE",
    "BuiltinOptions2.StablehloCaseOptions",
    "QuantizationDetails.BlockwiseQuantization",
    "QuantizationDetails.MultiAxisQuantization",
    "TensorType.FLOAT8_E4M3FN",
    "TensorType.FLOAT8_E5M2",
    "TensorType.INT2",
    "TensorType.UINT4",
}
# Its accessor answers with the operator that the two code fields mean together, so it has no default of its own.
REWRITTEN_IN_TFLITE = {"OperatorCode.builtin_code"}

# ai-edge-litert 2.3 carries a schema with two fields more than revision 3d; files that fill them can be read, checked
# and spliced, but not written anew.
NEWER_IN_LITERT = {"BlockwiseQuantization.BlockShape", "FullyConnectedOptions.QuantSpec"}


def tflite() -> Reader:
    folder = folder_of("tflite")
    assert folder is not None, "the tflite package is a dependency"
    return parse("\n".join(path.read_text() for path in sorted(folder.glob("*.py")) if path.stem != "utils"))


def litert() -> Reader:
    folder = folder_of("ai_edge_litert")
    if folder is None:
        pytest.skip("ai-edge-litert is not installed")
    return parse((folder / "schema_py_generated.py").read_text())


def expected_kind(field: schema.Field) -> str:
    return "numbers" if field.kind in ("bytes", "data") else field.kind


def differences(other: Reader, rewritten: set[str]) -> tuple[set[str], set[str], list[str]]:
    """(what only we have, what only the other has, what both have and say differently)."""
    ours_only: set[str] = set()
    theirs_only: set[str] = set(other.tables) - set(schema.TABLES)
    wrong: list[str] = []
    for table in schema.TABLES:
        if table not in other.tables:
            ours_only.add(table)
            continue
        accessors = dict(other.tables[table])
        for field in schema.fields(table):
            name = f"{table}.{field.name}"
            if field.kind == "union":
                tag = accessors.pop(accessor_name(field.name) + "Type", None)
                if tag is not None and tag[:3] != (field.slot - 1, "scalar", "B"):
                    wrong.append(f"{name}: the tag is {tag}")
            accessor = accessors.pop(accessor_name(field.name), None)
            if accessor is None:
                ours_only.add(name)
                continue
            type_ = {"scalar": field.format, "numbers": field.format}.get(expected_kind(field), field.type)
            type_ = "" if field.kind == "union" else type_
            if accessor[:3] != (field.slot, expected_kind(field), type_):
                wrong.append(f"{name}: {accessor}")
            elif field.kind == "scalar" and name not in rewritten and accessor.default != field.default:
                wrong.append(f"{name}: the default is {accessor.default!r}")
        theirs_only |= {f"{table}.{name}" for name in accessors}
    enums = {name: members for name, (_, members) in schema.ENUMS.items()}
    unions = {name: {"NONE": 0, **members} for name, members in schema.UNIONS.items()}
    for name, members in {**enums, **unions}.items():
        theirs = other.enums.get(name, {})
        ours_only |= {f"{name}.{member}" for member in members.keys() - theirs.keys()}
        theirs_only |= {f"{name}.{member}" for member in theirs.keys() - members.keys()}
        wrong += [f"{name}.{m} is {theirs[m]}" for m in members.keys() & theirs.keys() if members[m] != theirs[m]]
    return ours_only, theirs_only, wrong


def test_the_tflite_package_has_the_same_slots_types_defaults_and_values() -> None:
    ours_only, theirs_only, wrong = differences(tflite(), REWRITTEN_IN_TFLITE)
    assert wrong == []
    assert theirs_only == set()
    assert ours_only == NEWER_THAN_TFLITE | DEPRECATED


def test_litert_has_the_same_slots_types_defaults_and_values() -> None:
    ours_only, theirs_only, wrong = differences(litert(), set())
    assert wrong == []
    assert ours_only == DEPRECATED
    assert theirs_only == NEWER_IN_LITERT


def test_the_comparison_sees_a_wrong_slot_type_default_and_value() -> None:
    """The comparison itself: what it is given in a damaged form, it must report."""
    other = tflite()
    other.tables["Tensor"]["Shape"] = other.tables["Tensor"]["Shape"]._replace(slot=1)
    other.tables["Tensor"]["Type"] = other.tables["Tensor"]["Type"]._replace(type="B")
    other.tables["OperatorCode"]["Version"] = other.tables["OperatorCode"]["Version"]._replace(default=0)
    other.enums["Padding"]["VALID"] = 2
    del other.tables["Buffer"]["Size"]
    ours_only, _, wrong = differences(other, REWRITTEN_IN_TFLITE)
    assert [text.split(" ")[0].rstrip(":") for text in wrong] == [
        "Tensor.shape",
        "Tensor.type",
        "OperatorCode.version",
        "Padding.VALID",
    ]
    assert "Buffer.size" in ours_only


def test_force_align_is_kept() -> None:
    """Weights need 16 bytes (kernels load vectors), the sparse index vectors 4, as the format's own schema demands."""
    aligned = {f"{t}.{f.name}": f.alignment for t in schema.TABLES for f in schema.fields(t) if f.alignment}
    assert aligned == {
        "Buffer.data": 16,
        "CustomQuantization.custom": 16,
        "Uint8Vector.values": 4,
        "Uint16Vector.values": 4,
    }


# References

LISTS = {"tensor", "buffer", "operator_code", "subgraph", "external_buffer_group"}


def integer_fields() -> dict[str, schema.Field]:
    return {
        f"{table}.{field.name}": field
        for table in schema.TABLES
        for field in schema.fields(table)
        if field.kind in ("scalar", "numbers", "bytes") and field.type not in schema.ENUMS and field.format in INTEGERS
    }


def test_every_integer_is_a_reference_or_was_reviewed_to_be_none() -> None:
    """A field that holds an index and is not declared would point at the wrong object after any insertion."""
    reviewed = (Path(__file__).parent / "reviewed_integers.txt").read_text().split()
    assert reviewed == sorted(set(reviewed))
    plain = {name for name, field in integer_fields().items() if field.refers_to is None}
    assert plain - set(reviewed) == set(), "classify these: refers_to in the schema, or reviewed_integers.txt"
    assert set(reviewed) - plain == set(), "these are reviewed and are references now, or gone"


def test_references_name_lists_that_exist() -> None:
    named = {field.refers_to for table in schema.TABLES for field in schema.fields(table)} - {None}
    assert named == LISTS


def test_a_field_that_is_called_an_index_is_a_reference() -> None:
    suffixes = ("subgraph_index", "subgraph_indices", "tensor_index", "opcode_index", "metadata_index")
    indices = {name for name in integer_fields() if name.endswith(suffixes)}
    plain = {name for name in indices if integer_fields()[name].refers_to is None}
    # Into tables of LiteRT's own debug metadata, which lie in a metadata buffer and not in the model.
    assert plain == {"Operator.debug_metadata_index", "SubGraph.debug_metadata_index"}


def test_compile_py_can_be_imported_without_writing() -> None:
    spec = importlib.util.spec_from_file_location("schema_compiler", ROOT / "schema" / "compile.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    before = (ROOT / "tflite_surgeon/flatbuffer/_schema.py").stat().st_mtime_ns
    spec.loader.exec_module(module)
    assert (ROOT / "tflite_surgeon/flatbuffer/_schema.py").stat().st_mtime_ns == before
    assert module.render(module.Parser(module.SOURCE.read_text()).parse()).startswith('"""Generated by')
