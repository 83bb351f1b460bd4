"""Cycles of ``docs/short_term.md``, measured on the compiled circuit."""

from __future__ import annotations

import numpy as np
import pytest

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.short_term import short_term_layout
from spikeloom.hdl.core import empty_tick
from spikeloom.hdl.fabric import ECP5, GENERIC
from tests.docs.test_cycles import AXONS_PER_WORD, SLOW, Circuit, Formula

#: More neurons than axons, so that the decay is hidden; more axons; and rows of two and of twenty words.
CASES = {
    "more neurons": (CoreConfig(axons=40, neurons=64, lanes=8, levels=2, short_term=True), GENERIC),
    "more axons": (CoreConfig(axons=100, neurons=32, lanes=8, levels=2, short_term=True), GENERIC),
    "short rows": (CoreConfig(axons=60, neurons=64, weight_bits=4, lanes=32, pipelines=4, short_term=True), ECP5),
    "weights in parts": (CoreConfig(axons=100, neurons=80, lanes=4, levels=2, short_term=True), SLOW),
}


@pytest.mark.parametrize("name", CASES)
def test_cycles_of_a_tick(name: str) -> None:
    config, fabric = CASES[name]
    chip, formula = Circuit(config, fabric), Formula(config, fabric)
    chip.write("short_term", **{field.name: np.full(config.axons, field.high) for field in short_term_layout().fields})
    zero = np.zeros(config.axons, np.int64)
    update = max(formula.update + 6, config.axons + 11)
    chip.load(zero, zero)
    assert chip.tick([]) == empty_tick(config) == formula.d + 6 + update
    # Full rows, in which an event costs the words of its row, or Q.
    words = config.neuron_words
    chip.load(zero, np.full(config.axons, words - 1))
    for axons in ([0], [20], [config.axons - 1], range(3), range(18, 30)):
        rows = (len(axons) - 1) * max(words, formula.h, 6 - formula.short) + words
        integration = max(formula.d + 6 + 6, axons[0] // AXONS_PER_WORD + 11 - formula.short + 6 + formula.m + 3 + rows)
        assert chip.tick(axons) == integration + update, axons
