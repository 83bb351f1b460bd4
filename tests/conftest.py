"""Settings of the property tests: the same examples in every run, and no limit on the time of one example. Less garbage collection."""

from __future__ import annotations

import gc
import os

import pytest
from hypothesis import settings

settings.register_profile("spikeloom", deadline=None, derandomize=True)
settings.load_profile("spikeloom")
# Amaranth makes many small objects that live until a design is Verilog; looking for garbage among them takes a fifth of that time.
gc.set_threshold(50_000)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI nothing is skipped: a skipped test is a failed one."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped; in CI every test runs"
