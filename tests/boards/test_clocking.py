"""PLL settings, and the clock of each board."""

from __future__ import annotations

import pytest
from amaranth.hdl import ClockDomain, Module
from amaranth.sim import Simulator

from spikeloom.arch.errors import ConfigError
from spikeloom.boards.clocking import RESET_CYCLES, Ecp5Pll, Ice40Pll, ResetTimer, Xilinx7Mmcm, loop_of
from spikeloom.boards.pins import oscillator
from spikeloom.boards.targets import TARGETS, target
from spikeloom.hdl.uart import divisor_for


@pytest.mark.parametrize(("clock", "wanted"), [(12.0, 39.75), (12.0, 72.0), (16.0, 57.0), (48.0, 36.0), (100.0, 60.0)])
def test_ice40_pll_keeps_its_limits(clock, wanted):
    pll = Ice40Pll.find(clock, wanted)
    detector = clock / (pll.divr + 1)
    oscillator = detector * (pll.divf + 1)
    assert 10 <= detector <= 133
    assert 533 <= oscillator <= 1066
    assert oscillator / 2**pll.divq == pll.out_mhz == pytest.approx(wanted)


def test_ice40_filter_range_follows_the_phase_detector():
    # 12 MHz at the phase detector is below 17 MHz: the first range; 48 MHz is in the fourth.
    assert Ice40Pll.find(12.0, 39.0).filter_range == 1
    pll = Ice40Pll.find(48.0, 48.0)
    assert pll.filter_range == 1 + sum(48.0 / (pll.divr + 1) >= limit for limit in (17, 26, 44, 66, 101))


@pytest.mark.parametrize(("clock", "wanted"), [(12.0, 75.0), (12.0, 96.0), (25.0, 90.0), (48.0, 100.0), (100.0, 96.0)])
def test_ecp5_pll_keeps_its_limits(clock, wanted):
    pll = Ecp5Pll.find(clock, wanted)
    detector = clock / pll.input_divider
    oscillator = detector * pll.loop_divider
    assert 10 <= detector <= 400
    assert 400 <= oscillator <= 800
    assert 1 <= pll.loop_divider <= 128
    assert oscillator / pll.output_divider == pll.out_mhz == pytest.approx(wanted, rel=0.01)


@pytest.mark.parametrize(("clock", "wanted"), [(12.0, 50.0), (100.0, 50.0)])
def test_xilinx7_mmcm_keeps_its_limits(clock, wanted):
    mmcm = Xilinx7Mmcm.find(clock, wanted)
    oscillator = clock / mmcm.divide * mmcm.multiply
    assert 10 <= clock / mmcm.divide <= 450
    assert 600 <= oscillator <= 1200
    assert oscillator / mmcm.output_divider == mmcm.out_mhz == pytest.approx(wanted)


@pytest.mark.parametrize(("pll", "clock"), [(Ice40Pll, 12.0), (Ecp5Pll, 25.0), (Xilinx7Mmcm, 100.0)])
@pytest.mark.parametrize("wanted", [1.0, 2000.0])
def test_a_clock_that_cannot_be_made_is_refused_with_the_nearest(pll, clock, wanted):
    with pytest.raises(ConfigError, match=rf"no PLL setting makes {wanted} MHz from {clock} MHz; the nearest is"):
        pll.find(clock, wanted)


@pytest.mark.parametrize(("pll", "clock"), [(Ice40Pll, 3.3), (Ice40Pll, 200.0), (Ecp5Pll, 6.0), (Xilinx7Mmcm, 8.0)])
def test_an_oscillator_outside_the_limits_is_refused(pll, clock):
    with pytest.raises(ConfigError, match="the nearest is none"):
        pll.find(clock, 50.0)


@pytest.mark.parametrize("name", TARGETS)
def test_clock_of_a_board_is_made_exactly_and_its_rate_well_enough(name):
    board = TARGETS[name]
    out_mhz = loop_of(board.platform(), board.clock_mhz).out_mhz
    assert out_mhz == pytest.approx(board.clock_mhz, rel=1e-9)
    divisor = divisor_for(out_mhz * 1e6, board.baud)
    assert out_mhz * 1e6 / divisor == pytest.approx(board.baud, rel=0.01)


def test_a_board_that_prefers_its_parts_oscillator_is_clocked_by_its_own():
    platform = target("upduino-v3").platform()
    assert platform.default_clk == "SB_HFOSC"
    assert oscillator(platform) == ("clk12", 12.0)


def test_reset_lasts_until_the_clock_is_stable_and_begins_again_when_it_is_not():
    timer = ResetTimer()
    m = Module()
    m.domains.start = ClockDomain("start", reset_less=True)
    m.submodules.timer = timer

    async def cycles_until_released(ctx):
        count = 0
        while ctx.get(timer.reset):
            await ctx.tick("start")
            count += 1
            assert count <= 2 * RESET_CYCLES
        return count

    async def testbench(ctx):
        await ctx.tick("start").repeat(3 * RESET_CYCLES)
        assert ctx.get(timer.reset)
        ctx.set(timer.stable, 1)
        assert await cycles_until_released(ctx) == RESET_CYCLES
        for cause, value in ((timer.pressed, 1), (timer.stable, 0)):
            ctx.set(cause, value)
            await ctx.tick("start")
            assert ctx.get(timer.reset)
            ctx.set(cause, 1 - value)
            assert await cycles_until_released(ctx) == RESET_CYCLES

    simulator = Simulator(m)
    simulator.add_clock(1e-6, domain="start")
    simulator.add_testbench(testbench)
    simulator.run()
