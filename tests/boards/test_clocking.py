"""PLL settings."""

from __future__ import annotations

import pytest

from spikeloom.arch.errors import ConfigError
from spikeloom.boards.clocking import Ecp5Pll, Ice40Pll
from spikeloom.boards.targets import TARGETS


def test_ice40_pll_keeps_its_limits():
    pll = Ice40Pll.find(12, 39)
    oscillator = 12 / (pll.divr + 1) * (pll.divf + 1)
    assert 10 <= 12 / (pll.divr + 1) <= 133
    assert 533 <= oscillator <= 1066
    assert oscillator / 2**pll.divq == pll.out_mhz == pytest.approx(39)
    # 12 MHz at the phase detector is below 17 MHz: the first filter range.
    assert pll.filter_range == 1


def test_ecp5_pll_keeps_its_limits():
    pll = Ecp5Pll.find(25, 75)
    assert 25 / pll.input_divider * pll.feedback_divider == pll.out_mhz == pytest.approx(75)
    assert 400 <= pll.out_mhz * pll.output_divider <= 800


@pytest.mark.parametrize(("pll", "clock"), [(Ice40Pll, 12.0), (Ecp5Pll, 25.0)])
@pytest.mark.parametrize("wanted", [1.0, 2000.0])
def test_a_clock_that_cannot_be_made_is_refused_with_the_nearest(pll, clock, wanted):
    with pytest.raises(ConfigError, match=rf"no PLL setting makes {wanted} MHz from {clock} MHz; the nearest is"):
        pll.find(clock, wanted)


@pytest.mark.parametrize("name", TARGETS)
def test_serial_rate_divides_the_clock_exactly(name):
    target = TARGETS[name]
    assert target.clock_mhz * 1e6 % target.baud == 0
