from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from spikeloom.arch.errors import ConfigError
from spikeloom.arch.short_term import LONGEST, decay_of, short_term_layout


@pytest.mark.parametrize("ticks", [0.5, 1, 20, 800, 1024, 1025, 20_000, 1e6, LONGEST])
def test_decay_has_its_time_constant(ticks: float) -> None:
    decay, step = decay_of(ticks)
    assert 0 < decay < 65536
    assert ticks / 2**step <= 1024
    assert step == 0 or ticks / 2**step > 512
    assert -(2**step) / math.log(decay / 65536) == pytest.approx(ticks, rel=0.009)


def test_nothing_is_left_of_a_time_constant_of_zero() -> None:
    assert decay_of(0) == (0, 0)


@pytest.mark.parametrize(
    ("ticks", "message"),
    [
        (-1, "a time constant is -1 ticks; it must be 0 to 33554432"),
        (4e7, "a time constant is 4e+07 ticks; it must be 0 to 33554432"),
        (math.nan, "a time constant is nan ticks; it must be 0 to 33554432"),
    ],
)
def test_time_constant_out_of_range_is_refused(ticks: float, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        decay_of(ticks)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("use", 65536, "short_term.use[1] is 65536; it must be 0 to 65535 (nearest: 65535)"),
        ("facilitation_decay", -1, "short_term.facilitation_decay[1] is -1; it must be 0 to 65535 (nearest: 0)"),
        ("depression_step", 16, "short_term.depression_step[1] is 16; it must be 0 to 15 (nearest: 15)"),
    ],
)
def test_parameter_out_of_range_is_refused(field: str, value: int, message: str) -> None:
    values: dict[str, Any] = {name.name: np.zeros(3, np.int64) for name in short_term_layout().fields}
    values[field][1] = value
    with pytest.raises(ConfigError) as error:
        short_term_layout().pack(values)
    assert str(error.value) == message
