"""Makes the pictures of README.md in fixtures/pictures: python tests/make_pictures.py.

Needs Graphviz, Chromium and chromedriver. Pixels depend on their versions and on the fonts of the machine.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tflite_surgeon as ts
from tests.browser.driver import Browser, browser
from tests.browser.models import large

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "fixtures" / "pictures"
LARGEST = 150_000
SETTLED_SECONDS = 0.5


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model in ("bias_scale_shared", "bias_scale_per_tensor"):
            shutil.copy(ROOT / "fixtures" / f"{model}.tflite", folder)
        (folder / "encoder.tflite").write_bytes(ts.dumps(large(110)))
        _tool(folder, "graph", "bias_scale_shared.tflite", "-o", "graph.png")
        shutil.copy(folder / "graph.png", PICTURES / "graph.png")
        for model in ("bias_scale_per_tensor", "encoder"):
            _tool(folder, "report", f"{model}.tflite", "-o", f"{model}.html")
        with browser(1040, 560) as window:
            window.open(folder / "bias_scale_per_tensor.html")
            _keep(window, "report.png")
            window.theme("dark")
            window.open(folder / "encoder.html")
            window.click(".finding .place")
            window.wait("return document.querySelector('.node.selected')")
            _keep(window, "report_graph.png")
    for picture in sorted(PICTURES.glob("*.png")):
        size = picture.stat().st_size
        print(f"{picture.relative_to(ROOT)}  {size:,} bytes")
        if size > LARGEST:
            raise SystemExit(f"{picture.name} is larger than {LARGEST:,} bytes")


def _tool(folder: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "tflite_surgeon", *arguments], cwd=folder, check=True, capture_output=True)


def _keep(window: Browser, name: str) -> None:
    time.sleep(SETTLED_SECONDS)
    (PICTURES / name).write_bytes(window.picture())


if __name__ == "__main__":
    main()
