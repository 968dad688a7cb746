"""The package's front door."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys

import pytest

import tflite_surgeon as ts
from tflite_surgeon.flatbuffer import schema


@pytest.mark.parametrize("name", ts.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert inspect.getdoc(getattr(ts, name))


def test_type_checkers_and_the_program_see_the_same_names() -> None:
    tree = ast.parse(inspect.getsource(ts))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    declared = {
        alias.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert declared == {name: f"tflite_surgeon.{home}" for name, home in ts._HOME_OF.items()}


def test_every_table_and_enum_of_the_schema_is_a_name() -> None:
    for name in schema.TABLES:
        assert getattr(ts, name).table == name
    assert ts.TensorType.INT8 == 9
    assert ts.FullyConnectedOptions(keep_num_dims=True).keep_num_dims is True
    with pytest.raises(TypeError, match="no field 'nonsense'"):
        ts.FullyConnectedOptions(nonsense=1)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = ts.nonsense


def test_importing_it_imports_nothing_slow() -> None:
    script = (
        "import sys, tflite_surgeon as ts\nts.load, ts.check, ts.fix, ts.save\n"
        "slow = {'numpy', 'rich', 'typer', 'tflite', 'ai_edge_litert'} & set(sys.modules)\nassert not slow, slow"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
