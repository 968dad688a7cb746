"""Counts of what the round trips found, at the end of the run; they travel with the reports, as pytest-xdist needs."""

from __future__ import annotations

import pytest

from tests.collection.round_trip import Summary


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    summary = Summary()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "round trip" and getattr(report, "when", "") == "teardown":
                    summary.note(*value)
    if summary.counts:
        terminalreporter.section("round trips")
        for line in summary.lines():
            terminalreporter.line(line)
