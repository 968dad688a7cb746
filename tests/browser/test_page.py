"""The pages of `report` and `graph` in a real browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import tflite_surgeon as ts
from tests.browser.driver import Browser, browser
from tests.browser.models import ODD_NAMES, large, odd
from tests.browser.needs import need_browser
from tests.builders import two_subgraphs
from tests.views.test_graph import net
from tflite_surgeon.cli.app import app
from tflite_surgeon.report.names import printable

READY = "return !document.querySelector('#canvas.busy') && document.querySelectorAll('.node').length > 0"
# The operators' places on the screen: {key: [left, top, right, bottom]}.
PLACES = """return Object.fromEntries([...document.querySelectorAll('.node')].map((node) => {
  const place = node.getBoundingClientRect();
  return [node.dataset.key, [place.left, place.top, place.right, place.bottom]];
}))"""
SCALE = "return Number(document.querySelector('.picture > g').getAttribute('transform').match(/scale\\((.*)\\)/)[1])"
PANEL = "return document.getElementById('panel').innerText"
# The sums of red, green and blue of the page's ground and ink.
BRIGHTNESS = """const { backgroundColor, color } = getComputedStyle(document.body);
return [backgroundColor, color].map((text) => text.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + +part, 0))"""
ROWS = "[...document.querySelectorAll('.tensors tbody tr:not([aria-hidden])')]"
CELLS = f"return {ROWS}.map((row) => row.cells[{{}}].innerText)"


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    need_browser()
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A report of each model."""
    folder = tmp_path_factory.mktemp("pages")
    models = {"small": net(off=13.0), "odd": odd(), "large": large(110), "two": two_subgraphs(net(), large(2))}
    return {name: written(model, folder, name) for name, model in models.items()}


def written(model: ts.Model, folder: Path, name: str, *command: str) -> Path:
    (folder / f"{name}.tflite").write_bytes(ts.dumps(model))
    page = folder / f"{name}.html"
    result = CliRunner().invoke(app, [*(command or ("report",)), str(folder / f"{name}.tflite"), "-o", str(page)])
    assert result.exit_code == 0, result.output
    return page


def opened(window: Browser, page: Path, anchor: str = "") -> None:
    window.call("POST", "/url", {"url": "about:blank"})
    window.console(), window.requests()
    window.open(page, anchor)


def in_view(window: Browser, key: str) -> bool:
    left, top, right, bottom = window.run(PLACES)[key]
    area = window.run(
        "const a = document.getElementById('canvas').getBoundingClientRect(); return [a.x, a.y, a.right, a.bottom]"
    )
    return bool(left >= area[0] and top >= area[1] and right <= area[2] and bottom <= area[3])


@pytest.mark.parametrize("name", ["small", "odd", "large", "two"])
def test_it_opens_without_an_error_and_asks_for_nothing(name: str, window: Browser, pages: dict[str, Path]) -> None:
    opened(window, pages[name])
    for tab in ("overview", "tensors", "weights", "graph"):
        window.click(f"#tab-{tab}")
        window.wait("return !document.getElementById(arguments[0]).hidden", tab)
    window.wait(READY)
    assert window.console() == []
    asked = {address for address in window.requests() if not address.startswith(("chrome:", "data:", "about:"))}
    assert {address.split(":")[0] for address in asked} <= {"file", "blob"}
    assert {address.partition("#")[0] for address in asked if address.startswith("file")} == {pages[name].as_uri()}


def test_absurd_names_are_shown_and_do_nothing(window: Browser, pages: dict[str, Path]) -> None:
    opened(window, pages["odd"], "#tensors")
    shown = window.wait(CELLS.format(1))
    activations = [printable(name, 4096) or "without a name" for name in ODD_NAMES]
    # Blanks at the ends of a cell are not part of its text.
    assert {" ".join(name.split()) for name in activations} <= {" ".join(cell.split()) or "" for cell in shown}
    for tab in ("overview", "weights", "graph"):
        window.click(f"#tab-{tab}")
    window.wait(READY)
    window.type("#search", ODD_NAMES[1])
    window.type("#search", "\ue007")
    assert ODD_NAMES[1] in window.wait(
        f"{PANEL.replace('return ', 'const text = ')}; return text.includes('tensor') && text"
    )
    assert window.run("return window.harmed") is None
    assert window.run("return document.querySelectorAll('img, body script:not([id]) ~ script').length") == 0


@pytest.mark.parametrize("model", ["small", "large"])
def test_search_finds_a_tensor(model: str, window: Browser, pages: dict[str, Path]) -> None:
    name = {"small": "block/dense/kernel", "large": "encoder/layer_77/attention/projection/kernel"}[model]
    opened(window, pages[model])
    window.type("#search", name[-36:])
    window.wait("return document.querySelectorAll('#hits [role=option]').length > 0")
    window.type("#search", "\ue007")  # Enter.
    panel = window.wait(f"{PANEL.replace('return ', 'const text = ')}; return text.includes('tensor') && text")
    assert name in panel
    reader = window.run("return document.querySelector('.node.selected').dataset.key")
    assert in_view(window, reader)
    assert reader == {"small": "op0", "large": f"op{77 * 14 + 7}"}[model]


def test_search_finds_an_operator_by_its_number_and_nothing_by_nonsense(
    window: Browser, pages: dict[str, Path]
) -> None:
    opened(window, pages["large"])
    window.type("#search", "1541")
    assert window.wait("return document.querySelector('#hits li')?.innerText").startswith("1541 SOFTMAX")
    window.run("document.getElementById('search').value = ''")
    window.type("#search", "no such thing")
    assert window.run("return document.getElementById('hits').innerText") == "nothing found"


@pytest.mark.parametrize("model", ["small", "large"])
def test_a_click_on_a_finding_brings_the_node_into_view(model: str, window: Browser, pages: dict[str, Path]) -> None:
    key = {"small": "op0", "large": f"op{7 * 14 + 9}"}[model]
    opened(window, pages[model])
    window.click(".finding .place")
    window.wait(f"{READY} && document.querySelector('.node.selected')")
    assert window.run("return document.querySelector('.node.selected').dataset.key") == key
    assert in_view(window, key)
    assert "bias-scale" in window.run(PANEL)


def test_a_finding_in_the_graphs_own_list_leads_there_too(window: Browser, pages: dict[str, Path]) -> None:
    opened(window, pages["large"], "#graph")
    window.wait(READY)
    window.click(".marked li:last-child .link")
    window.wait("return document.querySelector('.node.selected')")
    assert in_view(window, f"op{107 * 14 + 9}")


def test_zoom_and_move(window: Browser, pages: dict[str, Path]) -> None:
    opened(window, pages["small"], "#graph")
    window.wait(READY)
    scale, before = window.run(SCALE), window.run(PLACES)["op1"]
    window.drag((80, 400), (180, 460))
    window.wait("return !document.querySelector('.picture.moving')")
    after = window.wait(
        f"{PLACES.replace('return', 'const places =', 1)}; return places.op1[0] !== arguments[0] && places.op1",
        before[0],
    )
    assert (after[0] - before[0], after[1] - before[1]) == pytest.approx((100, 60), abs=1)
    assert window.run("return document.querySelector('.node.selected')") is None
    window.wheel((400, 400), -300)
    window.wait(f"{SCALE.replace('return', 'return arguments[0] * 1.2 <', 1)}", scale)
    window.click("#whole")
    window.wait(f"{SCALE.replace('return', 'return arguments[0] * 1.1 >', 1)}", scale)
    assert in_view(window, "in0")
    assert in_view(window, "out0")


def test_a_click_shows_a_node_and_a_tensor(window: Browser, pages: dict[str, Path]) -> None:
    opened(window, pages["small"], "#graph")
    window.wait(READY)
    window.click("[data-key=op0] .title")
    panel = window.wait(f"{PANEL.replace('return ', 'const text = ')}; return text.includes('operator 0') && text")
    for told in (
        "FULLY_CONNECTED",
        "bias-scale",
        "1 block/dense/kernel",
        "int8 [4, 4]",
        "keep_num_dims",
        "16 multiply",
    ):
        assert told in panel
    window.run(
        "[...document.querySelectorAll('#panel .link')].find((link) => link.innerText.startsWith('1 block')).click()"
    )
    panel = window.wait(f"{PANEL.replace('return ', 'const text = ')}; return text.includes('tensor 1') && text")
    assert "16 values" in panel
    assert window.run("return document.querySelectorAll('#panel .histogram rect').length") > 1


def test_columns_are_sorted(window: Browser, pages: dict[str, Path]) -> None:
    opened(window, pages["large"], "#tensors")
    window.wait(CELLS.format(0))
    sizes = sorted((tensor_bytes(tensor) for tensor in large(110).subgraphs[0].tensors), reverse=True)
    heads = window.run("return [...document.querySelectorAll('.tensors th')].map((head) => head.innerText)")
    column = heads.index("bytes")
    for _ in range(2):
        window.click(f".tensors th:nth-child({column + 1}) button")
    shown = [int(cell.replace("\u202f", "")) for cell in window.run(CELLS.format(column))]
    assert len(shown) > 20
    assert shown == sizes[: len(shown)]
    assert window.run(f"return document.querySelectorAll('.tensors th')[{column}].ariaSort") == "descending"
    # Only what is in view is in the document, also at the end.
    window.run("document.querySelector('.scroll').scrollTop = 1e7")
    window.wait(f"return {ROWS}.at(-1).cells[{column}].innerText === '{sizes[-1]}'")
    assert window.run("return document.querySelectorAll('.tensors tbody tr').length") < 100


def tensor_bytes(tensor: ts.Tensor) -> int:
    count = 1
    for length in tensor.shape:
        count *= length
    return count * (4 if tensor.type_name == "INT32" else 1)


def test_tensors_are_filtered(window: Browser, pages: dict[str, Path]) -> None:
    opened(window, pages["large"], "#tensors")
    window.type("#tensor-filter", "layer_99 weights")
    cells = window.run(CELLS.format(1))
    assert len(cells) == 6
    assert all(cell.startswith("encoder/layer_99/") and cell.endswith("/kernel") for cell in cells)


def test_the_largest_constants_have_the_largest_tiles(window: Browser, pages: dict[str, Path]) -> None:
    opened(window, pages["small"], "#weights")
    tiles = window.wait("""const tiles = [...document.querySelectorAll('.treemap .tile')];
      return tiles.map((tile) => [tile.title.split('\\n')[0], tile.offsetWidth * tile.offsetHeight])""")
    (first, area), (second, other) = tiles
    assert {first, second} == {"block/dense/kernel", "block/dense/bias"}
    assert area == pytest.approx(other, rel=0.02)  # 16 bytes each.
    assert window.run("return document.querySelectorAll('.histogram-card').length") == 2


def test_a_large_graph_is_there_soon_and_light(window: Browser, pages: dict[str, Path]) -> None:
    opened(window, pages["large"], "#graph")
    start = time.monotonic()
    window.wait(READY)
    assert time.monotonic() - start < 20
    assert window.run("return document.querySelectorAll('.node').length") < 200
    window.click("#whole")
    window.wait(f"{SCALE.replace('return', 'return 0.2 >', 1)}")
    assert window.run("return document.querySelectorAll('.node').length") > 100


def test_three_thousand_operators(window: Browser, tmp_path: Path) -> None:
    opened(window, written(large(215), tmp_path, "huge"))
    window.click(".finding:nth-child(20) .place")  # In the last of the pieces that are laid out one by one.
    window.wait(f"{READY} && document.querySelector('.node.selected')")
    assert in_view(window, f"op{197 * 14 + 9}")
    places = window.run(PLACES)
    numbers = sorted(int(key[2:]) for key in places if key.startswith("op"))
    assert len(numbers) > 5
    # From above to below in the order of execution, across the pieces.
    assert [places[f"op{number}"][1] for number in (numbers[0], numbers[-1])] == sorted(
        places[f"op{number}"][1] for number in (numbers[0], numbers[-1])
    )
    assert window.console() == []


def test_subgraphs_are_chosen(window: Browser, pages: dict[str, Path]) -> None:
    opened(window, pages["two"], "#graph")
    window.wait(READY)
    assert "3 operators" in window.run(PANEL)
    window.run("const s = document.getElementById('subgraph'); s.value = '1'; s.dispatchEvent(new Event('change'))")
    window.wait("return document.querySelector('[data-key=in1]')")
    assert "30 operators" in window.run(PANEL)
    window.run("const s = document.getElementById('subgraph'); s.value = '0'; s.dispatchEvent(new Event('change'))")
    window.wait("return !document.querySelector('[data-key=in1]') && document.querySelector('[data-key=op2]')")


def test_light_and_dark(window: Browser, pages: dict[str, Path]) -> None:
    seen: dict[str, Any] = {}
    opened(window, pages["small"])
    for theme in ("light", "dark"):
        window.theme(theme)
        seen[theme] = window.run(BRIGHTNESS)
    window.theme("light")
    (light_ground, light_ink), (dark_ground, dark_ink) = seen["light"], seen["dark"]
    assert light_ground > 700 > 200 > light_ink
    assert dark_ground < 100 < 600 < dark_ink


def test_the_page_of_a_part_of_a_graph(window: Browser, tmp_path: Path) -> None:
    page = written(large(20), tmp_path, "part", "graph", "--around", "50", "--depth", "2")
    opened(window, page)
    window.wait(READY)
    assert "of 282 operators" in window.run(PANEL)
    assert window.run("return document.querySelectorAll('.node.outside').length") > 0
    assert window.run("return document.getElementById('tabs').hidden")
    assert window.console() == []


@pytest.mark.parametrize("model", [ts.Model(), ts.Model(subgraphs=[ts.SubGraph()])])
def test_empty_models(model: ts.Model, window: Browser, tmp_path: Path) -> None:
    opened(window, written(model, tmp_path, "empty"))
    for tab in ("overview", "tensors", "weights", "graph"):
        window.click(f"#tab-{tab}")
    window.wait("return !document.querySelector('#canvas.busy')")
    assert window.console() == []


def test_odd_wiring_is_laid_out(window: Browser, tmp_path: Path) -> None:
    model = net()
    graph = model.subgraphs[0]
    graph.operators[0].inputs = [graph.tensors[5], graph.tensors[3]]  # A circle, and itself.
    graph.operators[1].outputs = [graph.tensors[3], graph.tensors[4]]  # Two makers of one.
    graph.inputs = [graph.tensors[0], graph.tensors[0], None]
    opened(window, written(model, tmp_path, "circle"), "#graph")
    window.wait(READY)
    assert window.run("return document.querySelectorAll('.node.operator').length") == 3
    assert window.console() == []
