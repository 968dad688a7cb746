"""The benchmarks' own parts: what they measure is real, what they write is well formed. No figure is asserted."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import tflite_surgeon as ts

FOLDER = Path(__file__).resolve().parent / "benchmarks"


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a script, its neighbours are found by their names alone."""
    monkeypatch.syspath_prepend(str(FOLDER))


def test_a_process_is_timed_and_its_peak_is_its_own(tmp_path: Path) -> None:
    from timing import measure

    output = tmp_path / "output"
    commands = {
        "small": [sys.executable, "-c", "pass"],
        "large": [sys.executable, "-c", "print(len(bytearray(b'1' * (64 << 20))))"],
        "failing": [sys.executable, "-c", "raise SystemExit(3)"],
        "hanging": [sys.executable, "-c", "import time; time.sleep(60)"],
    }
    found = measure(commands, output, 2, 10.0, 3.0)
    assert found["large"].megabytes > found["small"].megabytes + 60
    assert 0 < found["small"].seconds < 3
    assert found["failing"].problem == "fails (3)"
    assert found["hanging"].problem == "over 3 s"


@pytest.mark.parametrize("variant", ["", "outside", "zip", "broken"])
def test_models_are_what_their_names_say(variant: str, tmp_path: Path) -> None:
    from make_models import make

    with ts.load(make(tmp_path, "S", variant)) as model:
        found = {finding.rule for finding in ts.check(model)}
        assert ("bias-scale" in found) == (variant == "broken")
        assert bool(model.associated_files()) == (variant == "zip")
        assert any(buffer.outside for buffer in model.buffers or ()) == (variant == "outside")


def test_tables_and_pictures_are_well_formed() -> None:
    from contestants import Row
    from growth import Line, Panel, draw
    from run import README, table
    from timing import Figure

    rows = [Row("ours", [], ["theirs"]), Row("theirs", []), Row("late", [])]
    results = {"S": {"ours": Figure(0.5, 10), "theirs": Figure(0.25, 20), "late": Figure(0, 0, "over 90 s")}}
    assert list(table(rows, results)) == [
        "|  | beside | S |",
        "|---|---|---|",
        "| ours | theirs | 0.500 s, 10 MB (2 x) |",
        "| theirs |  | 0.250 s, 20 MB |",
        "| late |  | over 90 s |",
    ]
    picture = ElementTree.fromstring(draw([Panel("title", "unit", [Line("`check`", [(1, 0.5), (2, 1.0)])])]))
    assert picture.tag.endswith("svg")
    assert README.read_text().count("benchmark -->\n") == 2
