from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.arch.errors import ConfigError
from spikeloom.arch.layout import IntArray
from spikeloom.arch.lif import RESETS, RETENTION_FRACTION, Lif, Reset
from tests.helpers import lif_models

EVERYTHING = Lif(
    leak_bits=9,
    stochastic_leak=True,
    current_bits=24,
    resets="all",
    negative_threshold=True,
    threshold_noise_bits=18,
    adaptation_bits=20,
)


# Widths and options ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"state_bits": 7}, "state_bits is 7; it must be 8 to 28 (nearest: 8)"),
        ({"state_bits": 29}, "state_bits is 29; it must be 8 to 28 (nearest: 28)"),
        ({"state_bits": 24.0}, "state_bits must be an integer, not 24.0"),
        ({"fraction_bits": 13}, "fraction_bits is 13; it must be 0 to 12 (nearest: 12)"),
        ({"bias_bits": 25}, "bias_bits is 25; it must be 0 to 24; it cannot be wider than the potential"),
        ({"refractory_bits": 9}, "refractory_bits is 9; it must be 0 to 8 (nearest: 8)"),
        ({"leak_bits": 1}, "leak_bits is 1; it must be 2 to 16; 0 leaves it out"),
        ({"leak_bits": 17}, "leak_bits is 17; it must be 2 to 16; 0 leaves it out"),
        ({"leak_bits": False}, "leak_bits must be an integer, not False"),
        ({"current_bits": 7}, "current_bits is 7; it must be 8 to 28; 0 leaves it out"),
        ({"adaptation_bits": 3}, "adaptation_bits is 3; it must be 4 to 28; 0 leaves it out"),
        ({"threshold_noise_bits": 21}, "threshold_noise_bits is 21; it must be 0 to 20 (nearest: 20)"),
        ({"state_bits": 16, "threshold_noise_bits": 16}, "threshold_noise_bits is 16; it must be 0 to 15 (nearest: 15)"),
        ({"decay": 1}, "decay must be True or False, not 1"),
        ({"resets": "none"}, "resets is 'none'; it must be absolute, relative or all"),
        ({"stochastic_leak": True}, "stochastic_leak is True without a linear leak; give leak_bits, for example 9"),
        ({"current_wraps": True}, "current_wraps is True without a synaptic current; give current_bits, for example 24"),
    ],
)
def test_widths_and_options_out_of_range_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Lif(**change)


def _names(model: Lif) -> dict[str, list[str]]:
    return {name: [field.name for field in word.fields] for name, word in model.words().items()}


def test_words_of_a_neuron_with_every_option() -> None:
    assert _names(EVERYTHING) == {
        "parameters": [
            "retention",
            "current_retention",
            "adaptation_retention",
            "leak",
            "leak_reversal",
            "leak_stochastic",
            "reset_mode",
        ],
        "firing": [
            "threshold",
            "reset",
            "refractory",
            "negative_threshold",
            "negative_saturates",
            "noise_mask",
            "adaptation_step",
        ],
        "own": ["bias"],
        "state": ["membrane", "refractory", "current", "adaptation"],
    }


def test_words_of_a_neuron_without_any_option() -> None:
    bare = Lif(decay=False, bias_bits=0, refractory_bits=0, resets="absolute")
    # The parameter word cannot be empty.
    assert _names(bare) == {"parameters": ["reset_mode"], "firing": ["threshold", "reset"], "state": ["membrane"]}
    assert "reset_mode" not in Lif(resets="absolute").parameter_names()


@given(lif_models())
def test_option_that_is_left_out_has_no_fields(model: Lif) -> None:
    state = {field.name for field in model.state_fields()}
    names = set(model.parameter_names())
    for option, of_state, of_parameters in (
        (model.decay, set(), {"retention"}),
        (model.leak_bits, set(), {"leak", "leak_reversal"}),
        (model.stochastic_leak, set(), {"leak_stochastic"}),
        (model.bias_bits, set(), {"bias"}),
        (model.current_bits, {"current"}, {"current_retention"}),
        (model.refractory_bits, {"refractory"}, {"refractory"}),
        (model.negative_threshold, set(), {"negative_threshold", "negative_saturates"}),
        (model.threshold_noise_bits, set(), {"noise_mask"}),
        (model.adaptation_bits, {"adaptation"}, {"adaptation_step", "adaptation_retention"}),
    ):
        assert (of_state <= state) if option else not of_state & state
        assert (of_parameters <= names) if option else not of_parameters & names
    assert model.random == (model.stochastic_leak or model.threshold_noise_bits > 0)


# Parameters that make no sense together ----------------------------------------------------------------------------------


def _parameters(model: Lif, **values: int) -> dict[str, IntArray]:
    return {name: np.array([values.get(name, 0)]) for name in model.parameter_names()}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"retention": 4097}, "retention 4097 is above 4096 (1.0); it must be 0 to 4096 (nearest: 4096)"),
        ({"current_retention": 8191}, "current_retention 8191 is above 4096 (1.0); it must be 0 to 4096 (nearest: 4096)"),
        ({"adaptation_retention": 5000}, "adaptation_retention 5000 is above 4096 (1.0); it must be 0 to 4096 (nearest: 4096)"),
        ({"reset_mode": 3}, "reset_mode is 3; it must be 0 to 2 (nearest: 2)"),
        ({"reset_mode": 1, "reset": 1}, "a relative reset must be 0 or negative, and its threshold 0 or positive; "),
        ({"reset_mode": 1, "threshold": -1}, "a relative reset must be 0 or negative, and its threshold 0 or positive; "),
        ({"negative_threshold": 1}, "negative_threshold is 1; it must be 0 or negative (nearest: 0)"),
        ({"reset": -(2**23)}, "reset is -8388608, whose negative does not fit; it must be -8388607 or more (nearest: -8388607)"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(values: dict[str, int], message: str) -> None:
    EVERYTHING.check(_parameters(EVERYTHING))
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        EVERYTHING.check(_parameters(EVERYTHING, **values))


@pytest.mark.parametrize(
    "values",
    [
        {"retention": 4096, "current_retention": 4096, "adaptation_retention": 4096},
        {"reset_mode": 1, "reset": -(2**23), "threshold": 0},
        {"reset_mode": 0, "reset": 2**23 - 1, "threshold": -(2**23)},
        {"reset_mode": 2, "reset": -(2**23)},
        {"reset": -(2**23), "negative_saturates": 1},
    ],
)
def test_parameters_at_the_edge_are_taken(values: dict[str, int]) -> None:
    EVERYTHING.check(_parameters(EVERYTHING, **values))


def test_reset_modes_that_were_not_generated_are_refused() -> None:
    bare = Lif(decay=False, resets="absolute")
    with pytest.raises(ConfigError, match=r"^reset_mode is 1; this model was generated with absolute resets only"):
        bare.check(_parameters(bare, reset_mode=1))
    assert [int(mode) for mode in Reset] == [0, 1, 2]


@given(lif_models(), st.integers(0, 2**32 - 1), st.sampled_from([1, 7, 255, 32768]))
def test_samples_are_legal(model: Lif, seed: int, weight: int) -> None:
    sample = model.sample(np.random.default_rng(seed), 50, weight)
    assert list(sample) == list(model.parameter_names())
    model.check(sample)
    for name, field in model.parameter_names().items():
        assert sample[name].dtype == np.int64
        assert field.low <= sample[name].min() <= sample[name].max() <= field.high, name
    if "retention" in sample:
        assert sample["retention"].max() <= 1 << RETENTION_FRACTION
    if "reset_mode" in sample:
        assert sample["reset_mode"].max() <= RESETS.index(model.resets)
