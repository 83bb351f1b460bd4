"""What is refused of networks that learn, word by word."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

import spikeloom
from spikeloom.arch.config import ChipConfig
from spikeloom.arch.errors import CapacityError, ConfigError, ImageError, NetworkError
from spikeloom.arch.learning import Learning
from spikeloom.network.description import FixedCell, Network
from spikeloom.network.image import Image
from tests.network.cases import neurons
from tests.network.meshes import refusal
from tests.network.plastic_cases import DECAY, LEARNING, STDP, learners, one, small, two_rules


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"w_max": 1.0}, "projection in to layer: w_max is 1.0 without plasticity; give both or none"),
        ({"plasticity": "dw = x1 * y0"}, "projection in to layer: plasticity must be a Plasticity or None, not 'dw = x1 * y0'"),
        (
            {"plasticity": STDP},
            "projection in to layer: w_max is None; give the weight, above 0, for which high=60 of the plasticity stands",
        ),
        (
            {"plasticity": STDP, "w_max": -1.0},
            "projection in to layer: w_max is -1.0; give the weight, above 0, for which high=60 of the plasticity stands",
        ),
        (
            {"plasticity": STDP, "w_max": float("inf")},
            "projection in to layer: w_max is inf; give the weight, above 0, for which high=60 of the plasticity stands",
        ),
        (
            {"plasticity": dataclasses.replace(STDP, high=0), "w_max": 1.0},
            "projection in to layer: high of the plasticity is 0; it must be 1 or more to stand for w_max",
        ),
    ],
)
def test_projections_that_are_refused(arguments: dict[str, Any], message: str) -> None:
    network = Network()
    source, layer = network.input(5, "in"), network.population(3, neurons(3), "layer")
    with pytest.raises(NetworkError, match=f"^{re.escape(message)}$"):
        network.projection(source, layer, 0.5, **arguments)
    assert not network.projections


def test_w_max_is_refused_for_cells_that_say_the_unit() -> None:
    network = Network()
    source, layer = network.input(5, "in"), network.population(3, FixedCell(model_name="lif", parameters={}), "layer")
    message = "projection in to layer: w_max is 2.0, but FixedCell says itself what an LSB of a weight is; leave it out"
    with pytest.raises(NetworkError, match=f"^{message}$"):
        network.projection(source, layer, 0.5, plasticity=STDP, w_max=2.0)


def test_a_population_learns_by_one_rule_and_has_one_unit() -> None:
    network, _ = small()
    source, layer = network.find("in"), network.find("layer")
    message = "projection layer to layer: its plasticity differs from that of in to layer; a neuron's synapses learn by one, so give both the same"
    with pytest.raises(NetworkError, match=f"^{message}$"):
        network.projection(layer, layer, 0.0, plasticity=DECAY, w_max=2.0)
    message = (
        "projection in to layer: w_max is 1.0, that of in to layer 2.0; a neuron's weights have one LSB, so give both the same"
    )
    with pytest.raises(NetworkError, match=f"^{re.escape(message)}$"):
        network.projection(source, layer, 0.0, 2.0, plasticity=STDP, w_max=1.0)


def compiled(network: Network, config: ChipConfig | None = None) -> Image:
    return spikeloom.compile(network, config=one() if config is None else config)


def test_weights_must_begin_within_the_bounds() -> None:
    network, projection = small()
    network.projections[0] = dataclasses.replace(projection, weights=np.full((5, 3), 2.04))
    message = (
        "projection in to layer: the weight 2.04 from 0 to 0 is 61 LSB of 0.0333333; a synapse that learns begins between low and high of "
        "its plasticity, -20 and 60: raise w_max, or choose weights of -0.666667 to 2"
    )
    with pytest.raises(NetworkError, match=f"^{re.escape(message)}$"):
        compiled(network)


def test_other_weights_must_fit_the_unit() -> None:
    network, _ = small()
    network.projection(network.find("layer"), network.find("layer"), -5.0, 2.0)
    message = (
        "projection layer to layer: the weight -5 from 0 to 0 is -150 LSB of 0.0333333; weights of 8 bits are -127 to 127, and the projections "
        "that learn fix the LSB as w_max / high: lower high, raise w_max, or choose weights of -4.23333 to 4.23333"
    )
    with pytest.raises(CapacityError, match=f"^{re.escape(message)}$"):
        compiled(network)


def test_the_threshold_must_fit_the_unit() -> None:
    network, _ = small(threshold=5000.0)
    message = (
        "population 'layer': its threshold, reset, bias or adaptation needs 1.14 times the room that it has: projections that learn fix the "
        "LSB of a weight as w_max / high, 0.0333333; lower high, raise w_max, or raise state_bits"
    )
    with pytest.raises(CapacityError, match=f"^{re.escape(message)}$"):
        compiled(network)


def test_two_projections_that_learn_may_not_have_one_delay() -> None:
    network, _ = small()
    network.projection(network.find("in"), network.find("layer"), 0.0, 0.0, plasticity=STDP, w_max=2.0)
    message = (
        "two projections from in to layer learn and have the same delay, 0 ticks; leave one of them out, or give it another delay"
    )
    with pytest.raises(NetworkError, match=f"^{message}$"):
        compiled(network)


def test_one_core_has_one_rule() -> None:
    message = (
        "the synapses of first and second learn by different rules or settings, and a core has one: give them the same Plasticity, or choose a "
        "chip of several cores"
    )
    assert refusal(two_rules(), one()) == message
    # Nor have three rules room in two cores.
    network = two_rules()
    third = network.population(4, neurons(4), "third")
    network.projection(network.find("second"), third, 1.0, plasticity=dataclasses.replace(STDP, low=0), w_max=2.0)
    assert "cores: needs 3, has 2 (1 too few" in refusal(network, learners(2, 1))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"learning": None}, "no core has a learning unit"),
        (
            {"learning": Learning(pre_traces=0, post_traces=2, terms=4)},
            'no core has a learning unit that suits (rule, line 1, column 6 ("x1"): .*)',
        ),
        ({"learning": Learning(pre_traces=1, post_traces=2, terms=2)}, "no core has a learning unit that suits (.*terms.*)"),
    ],
)
def test_the_unit_to_generate_is_named(changes: dict[str, Any], reason: str) -> None:
    network = two_rules()
    network.projections[0] = dataclasses.replace(
        network.projections[0], plasticity=dataclasses.replace(STDP, rule="dw = x1 * y0 - x0 * y1 + x0 - y0")
    )
    units = [p.plasticity.unit(8) for p in network.projections if p.plasticity is not None]
    unit = Learning(**{field.name: max(getattr(unit, field.name) for unit in units) for field in dataclasses.fields(Learning)})
    assert (unit.pre_traces, unit.post_traces, unit.terms) == (1, 2, 4)
    message = re.escape(f"population 'first' has synapses that learn, but {reason}; generate one with learning={unit!r}")
    with pytest.raises(ConfigError, match=f"^{message.replace(re.escape('.*'), '.*')}$"):
        compiled(network, learners(2, 1, **changes))
    assert compiled(network, learners(2, 1, learning=unit)).config.cores[0].learning == unit


def test_cores_too_narrow_to_learn_are_refused() -> None:
    message = "population 'layer' has synapses that learn; that needs a core with weight_bits 4, 8 or 16, and the widest has 2"
    with pytest.raises(ConfigError, match=f"^{message}$"):
        compiled(small()[0], one(weight_bits=2, learning=None))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tau": {"x1": 8}}, "population 'layer', plasticity: the trace y1 has no time constant; give tau={'y1': TICKS}"),
        ({"high": 200}, "population 'layer', plasticity: weights are bounded by -20 and 200; they must rise within -128 to 127"),
    ],
)
def test_wrong_settings_are_refused_with_or_without_a_unit(changes: dict[str, Any], message: str) -> None:
    network, _ = small(dataclasses.replace(STDP, **changes))
    for unit in (None, LEARNING):
        with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
            compiled(network, one(learning=unit))


def test_a_wrong_rule_is_refused() -> None:
    network, _ = small(dataclasses.replace(STDP, rule="dw = x1 * q0"))
    with pytest.raises(ConfigError, match=r'^projection in to layer: rule, line 1, column 11 \("q0"\)'):
        spikeloom.compile(network, board="ulx3s")


def test_teachers_are_refused() -> None:
    network, _ = small(dataclasses.replace(STDP, rule="dw = 6 * x1 * z0", tau={"x1": 8}))
    message = (
        "population 'layer' has synapses that learn from teachers (z0), which the compiler does not place; "
        "build the image with image_from_arrays"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        spikeloom.compile(network, board="ulx3s")


def test_weights_of_another_network_are_refused() -> None:
    network, _ = small()
    image = compiled(network)
    other, _ = small()
    other.projection(other.find("layer"), other.find("layer"), 0.0, 1.0, plasticity=STDP, w_max=2.0)
    message = (
        "the image was not compiled from this network: it has not one synapse that learns for each pair of layer to layer; give the network "
        "that it was compiled from"
    )
    with pytest.raises(ImageError, match=f"^{message}$"):
        spikeloom.learned_weights(other, image)
    other = Network()
    source, layer = other.input(4, "in"), other.population(3, neurons(3), "layer")
    other.projection(source, layer, 0.0, plasticity=STDP, w_max=2.0)
    with pytest.raises(ImageError, match="it has no input in of 4 lines"):
        spikeloom.learned_weights(other, image)


def test_learned_weights_of_another_rule_are_refused() -> None:
    """The LSB would be another one."""

    def network(high: int) -> Network:
        net, rule = Network(), spikeloom.Plasticity(rule="dw = x1 * y0", tau={"x1": 8}, high=high)
        lines, layer = net.input(4), net.population(3, spikeloom.IF_curr_delta(tau_m=20.0), "layer")
        net.projection(lines, layer, 0.3, plasticity=rule, w_max=1.0)
        net.output(layer)
        return net

    image = spikeloom.compile(network(127), board="ulx3s")
    assert next(iter(spikeloom.learned_weights(network(127), image).values())) == pytest.approx(0.3, abs=0.5 / 127)
    with pytest.raises(ImageError, match=r"core 0 has not the rule and settings of input to layer"):
        spikeloom.learned_weights(network(31), image)
