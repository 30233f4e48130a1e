"""For all tests: in CI a skipped test is a failure, because nobody would see it; no example of a property is timed."""

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("FONDACO_EXAMPLES", "100"))  # of each property that does not say otherwise
settings.register_profile("fondaco", deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fondaco")

ALLOWED_SKIPS: frozenset[str] = frozenset()
"""Reasons, as pytest prints them without "Skipped: ", for which a test may be skipped in CI."""

_unexpected: set[str] = set()


def _count(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if reason.removeprefix("Skipped: ") not in ALLOWED_SKIPS:
        _unexpected.add(f"{report.nodeid}: {reason}")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _count(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    _count(report)


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    if _unexpected and os.environ.get("CI") == "true" and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _unexpected and os.environ.get("CI") == "true":
        terminalreporter.section("skipped in CI, which fails the run")
        for line in sorted(_unexpected):
            terminalreporter.line(line)
