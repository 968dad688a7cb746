"""Programs that some tests cannot do without."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.browser import driver


def _go_without(missing: str | None) -> None:
    if missing is None:
        return
    if os.environ.get("TFLITE_SURGEON_REQUIRE_ALL") == "1":
        pytest.fail(f"TFLITE_SURGEON_REQUIRE_ALL is set, and there is {missing}", pytrace=False)
    pytest.skip(f"there is {missing}")


def need_graphviz() -> None:
    """Skip the test, or fail it where everything is required, if Graphviz is not installed."""
    _go_without(None if shutil.which("dot") else "no dot on the PATH (Debian: graphviz)")


def need_browser() -> None:
    """The same for Chromium and its driver."""
    _go_without(driver.missing())
