"""The cases of all families: every module here that is named cases_*.py has a list CASES."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from tests.conditions.case import Case


def cases() -> list[Case]:
    found: list[Case] = []
    for file in sorted(Path(__file__).parent.glob("cases_*.py")):
        found += import_module(f"tests.conditions.{file.stem}").CASES
    return found
