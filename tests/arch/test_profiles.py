from __future__ import annotations

import itertools

import numpy as np
import pytest

from spikeloom.arch.config import CoreConfig
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import regions
from spikeloom.arch.profiles import PROFILES, loihi_neuron, odin_neuron, profile, truenorth_neuron


def _model(config: CoreConfig) -> Lif:
    (model,) = config.models
    assert isinstance(model, Lif)
    return model


def _holds(model: Lif, field: str, low: int, high: int) -> bool:
    """Whether a parameter can have all values from ``low`` to ``high``."""
    range_ = model.parameter_names()[field]
    return range_.low <= low and high <= range_.high


@pytest.mark.parametrize("name", PROFILES)
def test_profile_is_found_by_its_name_and_is_a_legal_core(name: str) -> None:
    config = profile(name)
    assert PROFILES[name].name == name
    assert PROFILES[name].source
    assert config.models == (PROFILES[name].model,)
    assert regions(config)
    assert CoreConfig.from_dict(config.as_dict()) == config


@pytest.mark.parametrize("name", ["", "TrueNorth", "spinnaker"])
def test_unknown_profile_is_answered_with_those_known(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^no profile {name!r}; known are truenorth, loihi, odin, nir$"):
        profile(name)


def test_changes_reach_core_and_neuron() -> None:
    config = profile("truenorth", axons=32, neurons=8, lanes=4, threshold_noise_bits=0)
    assert (config.axons, config.neurons, config.lanes, config.weight_bits) == (32, 8, 4, 1)
    assert _model(config).threshold_noise_bits == 0
    assert _model(config).leak_bits == 9
    assert PROFILES["truenorth"].model.threshold_noise_bits == 18


def test_size_of_the_weight_memory_follows_the_geometry() -> None:
    assert profile("loihi").words * profile("loihi").weight_word_bits == 2**20
    small = profile("loihi", axons=16, neurons=16)
    assert small.words == 16 * 16 // small.lanes
    assert profile("loihi", axons=16, neurons=16, weight_words=5).words == 5
    assert profile("loihi", bias_bits=0).words == profile("loihi").words


def test_other_models_replace_that_of_the_profile() -> None:
    assert profile("nir", models=(Lif(),)).models == (Lif(),)
    with pytest.raises(ConfigError, match=r"^profile 'nir': give either models or state_bits, not both$"):
        profile("nir", models=(Lif(),), state_bits=20)


def test_unknown_and_illegal_changes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^profile 'nir': neither CoreConfig nor Lif has a parameter 'neurones'$"):
        profile("nir", neurones=4)
    with pytest.raises(ConfigError, match=r"^neurons is 0; "):
        profile("nir", neurons=0)
    with pytest.raises(ConfigError, match=r"^state_bits is 40; "):
        profile("nir", state_bits=40)


def test_truenorth_holds_the_parameters_of_the_paper() -> None:
    config = profile("truenorth")
    model = _model(config)
    assert (config.axons, config.neurons, config.weight_bits, config.stochastic_synapses) == (256, 256, 1, True)
    types = regions(config)["type_weights"].layout.fields[0]
    assert types.low <= -255
    assert types.high == 255
    assert model.state_bits == 20
    assert _holds(model, "leak", -255, 255)
    # Thresholds of 18 bits without a sign, stored as alpha - 1 and -beta.
    assert _holds(model, "threshold", -1, 2**18 - 2)
    assert _holds(model, "negative_threshold", -(2**18 - 1), 0)
    assert _holds(model, "reset", -(2**18 - 1), 2**18 - 1)
    assert _holds(model, "noise_mask", 0, 2**18 - 1)
    # No decay, no bias, no current, no refractory period, no adaptation.
    assert [field.name for field in model.state_fields()] == ["membrane"]
    assert not {"retention", "bias", "refractory", "current_retention"} & set(model.parameter_names())
    assert config.random


def test_loihi_holds_the_parameters_of_the_paper() -> None:
    config = profile("loihi")
    model = _model(config)
    assert config.neurons == 1024
    biases = [mantissa << exponent for mantissa, exponent in itertools.product((-4096, 4095), range(8))]
    assert _holds(model, "bias", min(biases), max(biases))
    assert _holds(model, "threshold", 0, 131071 << 6)
    # Refractory periods of 1 to 64 ticks count the tick of the spike.
    assert _holds(model, "refractory", 0, 63)
    assert _holds(model, "retention", 0, 4096)
    assert _holds(model, "current_retention", 0, 4096)
    assert {field.name: field.bits for field in model.state_fields()} == {"membrane": 24, "refractory": 6, "current": 24}
    assert not config.random


def test_odin_holds_the_parameters_of_its_neuron() -> None:
    config = profile("odin")
    model = _model(config)
    assert (config.axons, config.neurons) == (257, 256)
    assert _holds(model, "threshold", 0, 254)
    assert _holds(model, "leak", -127, 0)
    weights = regions(config)["weights"].layout.fields[0]
    assert weights.low <= -127
    assert weights.high >= 7
    assert model.state_fields()[0].high == 255


def test_nir_is_the_default_neuron_with_a_synaptic_current() -> None:
    assert profile("nir") == CoreConfig(models=(Lif(current_bits=24),))


# Neurons in the symbols of their sources -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "neuron"),
    [
        ("truenorth", truenorth_neuron(alpha=1)),
        (
            "truenorth",
            truenorth_neuron(alpha=2**18 - 1, beta=2**18 - 1, reset=-255, gamma=2, leak=255, epsilon=1, stochastic_leak=1),
        ),
        ("truenorth", truenorth_neuron(alpha=1, gamma=1, kappa=1, leak=-255, mask=2**18 - 1)),
        ("loihi", loihi_neuron(vth=131071, du=0, dv=4095, mantissa=-4096, exponent=7, refractory=64)),
        ("loihi", loihi_neuron(vth=0)),
        ("odin", odin_neuron(threshold=255, leak=127)),
        ("odin", odin_neuron(threshold=1)),
    ],
)
def test_neurons_fit_their_profile(name: str, neuron: dict[str, int]) -> None:
    model = _model(profile(name))
    fields = model.parameter_names()
    # What a neuron leaves out is 0.
    assert set(neuron) <= set(fields)
    for field, value in neuron.items():
        assert _holds(model, field, value, value), field
    model.check({field: np.array([neuron.get(field, 0)]) for field in fields})


def test_neurons_by_hand() -> None:
    truenorth = truenorth_neuron(alpha=10, beta=20, reset=7, kappa=1, leak=-3, epsilon=1, mask=15)
    assert truenorth["threshold"] == 9
    assert truenorth["negative_threshold"] == -20
    assert truenorth["reset"] == 7
    assert truenorth_neuron(alpha=10, reset=7, gamma=1)["reset"] == -10
    loihi = loihi_neuron(vth=100, du=409, dv=128, mantissa=-5, exponent=3, refractory=4)
    assert loihi == {
        "threshold": 6400,
        "current_retention": 3686,
        "retention": 3968,
        "bias": -40,
        "reset": 0,
        "refractory": 3,
    }
    assert odin_neuron(threshold=8, leak=5)["threshold"] == 7
    assert odin_neuron(threshold=8, leak=5)["leak"] == -5
