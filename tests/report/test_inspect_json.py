"""Rows and values as JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any, NamedTuple

from tests.builders import layer
from tflite_surgeon.flatbuffer.vector import Vector
from tflite_surgeon.report.inspect_json import lists_as_json, rows_as_csv, value_as_json, values_as_csv
from tflite_surgeon.views.listing import list_tensors
from tflite_surgeon.views.rows import OperatorRow, TensorRow
from tflite_surgeon.views.summary import summarise


def strict(text: str) -> Any:
    def refuse(constant: str) -> float:
        raise AssertionError(f"not strict JSON: {constant}")

    return json.loads(text, parse_constant=refuse)


def tensor(**changes: Any) -> TensorRow:
    return list_tensors(layer())[0]._replace(**changes)


def read_back(*rows: Any) -> Any:
    return strict("".join(lists_as_json("net.tflite", {"rows": rows})))["rows"]


def test_floats_are_whole() -> None:
    scale = [0.1, 1 / 3, 5e-324, -0.0, 0.0, 1e300]
    (row,) = read_back(tensor(scale=scale))
    assert [value.hex() for value in row["scale"]] == [value.hex() for value in scale]
    first, second = read_back(tensor(scale=[0.0]), tensor(scale=[-0.0]))
    assert math.copysign(1, first["scale"][0]) == 1
    assert math.copysign(1, second["scale"][0]) == -1


def test_what_json_cannot_say_is_a_string() -> None:
    (row,) = read_back(tensor(scale=[math.nan, math.inf, -math.inf, 1.0]))
    assert row["scale"] == ["NaN", "Infinity", "-Infinity", 1.0]
    (row,) = read_back(tensor(scale=Vector("f", [math.nan] * 20)))
    assert row["scale"] == ["NaN"] * 20


def test_odd_names_are_kept_or_escaped() -> None:
    names = ['"quoted"', "a\nb", "ünï", "\udcff", "\x1b[31m", "x" * 3000, None]
    rows = read_back(*(tensor(name=name) for name in names))
    expected = [name if name != "\udcff" else "\\xff" for name in names]
    assert [row["name"] for row in rows] == expected


def test_long_vectors_and_absent_ones() -> None:
    numbers = Vector("i", range(100))
    (row,) = read_back(tensor(zero_point=numbers, shape_signature=None, min=None, shape=()))
    assert (row["zero_point"], row["shape_signature"], row["min"], row["shape"]) == (list(range(100)), None, None, [])


def test_inputs_that_are_not_given_are_null() -> None:
    row = OperatorRow(0, 5, "ADD", None, 0, [1, None], [2], [], None, None, None, {"a": math.nan, "b": "\udcff"})
    (found,) = read_back(row)
    assert found["inputs"] == [1, None]
    assert found["options"] == {"a": "NaN", "b": "\\xff"}
    assert found["index"] == 5


def test_many_rows_are_one_list() -> None:
    rows = [tensor(number=number) for number in range(2500)]
    assert [row["index"] for row in read_back(*rows)] == list(range(2500))
    assert strict("".join(lists_as_json("\udcff", {"a": rows[:1], "b": [], "c": rows[:2]})))["b"] == []


def test_csv_reads_back() -> None:
    row = tensor(name='a,"b"\nc', scale=[0.1, 0.25], shape_signature=None)
    (found,) = csv.DictReader(io.StringIO(rows_as_csv(TensorRow, [row])))
    assert found["name"] == row.name
    assert [float(text) for text in found["scale"].split()] == [0.1, 0.25]
    assert (found["shape_signature"], found["index"]) == ("", "0")
    assert rows_as_csv(TensorRow, []).startswith("subgraph,index,name")


class Odd(NamedTuple):
    """A row of values of any kind."""

    number: int
    value: Any


def test_values_are_paths_in_csv() -> None:
    text = values_as_csv({"a": [{"b": 1}, {"b": None}], "c": [1, 2], "d": Odd(3, math.nan)})
    paths = [["a[0].b", "1"], ["a[1].b", ""], ["c", "1 2"], ["d.index", "3"], ["d.value", "NaN"]]
    assert list(csv.reader(io.StringIO(text))) == [["path", "value"], *paths]


def test_a_summary_is_json() -> None:
    found = strict(value_as_json("net.tflite", summarise(layer())))
    assert found["path"] == "net.tflite"
    assert found["quantization"]["kind"] == "full-integer-int8"
    assert found["operators"][0]["support"]["oldest"] == "tflite-2.14"
