"""Settings of the property tests: the same examples in every run, and no limit on the time of one example."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("spikeloom", deadline=None, derandomize=True)
settings.load_profile("spikeloom")
