"""What tests of every room share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


@pytest.fixture
def fixture_copy(tmp_path: Path):
    """Copies a model of fixtures/ into the test's own folder: (name) -> path of the copy."""

    def copy(name: str) -> Path:
        return Path(shutil.copy(FIXTURES / name, tmp_path / name))

    return copy
