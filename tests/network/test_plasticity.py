"""How synapses learn, as words of a core's memories."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import ConfigError, ImageError
from spikeloom.arch.learning import Learning
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import regions
from spikeloom.network.image import Image
from spikeloom.network.mapped import CoreArrays, image_from_arrays
from spikeloom.network.plasticity import MAX_TAU, Plasticity

RULE = "dw = 2 * x1 * y0 - 1.5 * x0 * y1"
PAIR = Plasticity(rule=RULE, tau={"x1": 20, "y1": 30})
PLAIN: dict[str, Any] = {"offsets": False, "weight_factor": False, "neuron_products": False}
PRODUCTS = {"neuron_products": True}


def core(learning: Learning | None = None, **fields: Any) -> CoreConfig:
    return CoreConfig(axons=6, neurons=8, lanes=2, levels=1, models=(Lif(bias_bits=0),), learning=learning, **fields)


@pytest.mark.parametrize(
    ("rule", "unit"),
    [
        (RULE, Learning(terms=2, **PLAIN)),
        ("dw = 2 * x2 * y0", Learning(pre_traces=2, post_traces=0, terms=1, **PLAIN)),
        ("dw = 2^-3 * x0 * y2 * v0", Learning(pre_traces=0, post_traces=2, membrane_flag=True, terms=1, **PLAIN | PRODUCTS)),
        ("dt = x1 * y0", Learning(post_traces=0, tag_bits=8, terms=1, **PLAIN)),
        ("dw = 2^-3 * u * r * t", Learning(pre_traces=0, post_traces=0, tag_bits=8, terms=1, **PLAIN)),
        ("dw = x1 * z0 - x1 * y0", Learning(post_traces=0, teacher=True, terms=2, **PLAIN)),
        ("dw = 2^-1 * u * w", Learning(pre_traces=0, post_traces=0, terms=1, **PLAIN | {"weight_factor": True})),
        ("dw = y0 * (x1 - 0.5)", Learning(post_traces=0, terms=1, **PLAIN | {"offsets": True})),
        ("dw = x0 * (y1 > 0.5)", Learning(pre_traces=0, terms=1, **PLAIN | {"offsets": True})),
    ],
)
def test_the_smallest_unit_is_found(rule: str, unit: Learning) -> None:
    assert Plasticity(rule=rule).unit(8) == unit


def test_words_hold_what_was_asked_for() -> None:
    config = core(PAIR.unit(8))
    plasticity = Plasticity(
        rule=RULE,
        tau={"x1": 20, "y1": 30},
        impulse={"y1": 2},
        nearest=("y1",),
        low=-3,
        high=99,
        epoch=64,
        reward=-0.5,
        stochastic=False,
    )
    words = plasticity.words(config)
    table = regions(config)
    settings = {name: int(values[0]) for name, values in table["learning"].layout.unpack(words["learning"]).items()}
    assert settings == {
        "pre_terms": 1, "post_terms": 1, "epoch_terms": 0, "epoch": 6, "stochastic": 0, "low": -3, "high": 99,
        "x1_decay": round(65536 * math.exp(-1 / 20)), "x1_impulse": 16384, "x1_nearest": 0,
        "y1_decay": round(65536 * math.exp(-1 / 30)), "y1_impulse": 32768, "y1_nearest": 1,
    }  # fmt: skip
    modulation = table["modulation"].layout.unpack(words["modulation"])
    assert (modulation["enabled"].tolist(), modulation["reward"].tolist()) == ([1], [-512])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tau": {"x1": 20}}, r"the trace y1 has no time constant; give tau=\{'y1': TICKS\}"),
        ({"tau": {"x1": 20, "y1": 0}}, "tau of y1 is 0 ticks; it must be above 0 and at most 131071"),
        ({"tau": {"x1": 20, "y1": 2 * MAX_TAU}}, "tau of y1 is 262142 ticks; it must be above 0 and at most 131071"),
        ({"tau": {"x1": 20, "y1": math.nan}}, "tau of y1 is nan ticks; it must be above 0 and at most 131071"),
        ({"tau": {"x1": 1, "y1": 1, "x2": 1}}, "tau names x2; the core has x1, y1: leave out what the rule does not use"),
        ({"impulse": {"x1": 4}}, r"impulse of x1 is 4; it must be 0 to 3\.99994"),
        ({"impulse": {"x1": math.inf}}, r"impulse of x1 is inf; it must be 0 to 3\.99994"),
        ({"nearest": ("x3",)}, "nearest names x3; the core has x1, y1: leave out what the rule does not use"),
        ({"low": 5, "high": 2}, "weights are bounded by 5 and 2; they must rise within -128 to 127"),
        ({"high": 128}, "weights are bounded by 0 and 128; they must rise within -128 to 127"),
        ({"epoch": 3}, "epoch is 3; it must be a power of two from 1 to 32768"),
        ({"epoch": 65536}, "epoch is 65536; it must be a power of two from 1 to 32768"),
        ({"epoch": 0}, "epoch is 0; it must be a power of two from 1 to 32768"),
        ({"reward": 4}, r"reward is 4; it must be -4 to 3\.99902"),
        ({"rule": "dw = x2 * y0"}, r'rule, line 1, column 6 \("x2"\): .*x2.*'),
        (
            {"rule": "dw = 200 * x1 * y0"},
            "the post terms can change a weight by .* at once; at most 127 fits: use smaller constants",
        ),
    ],
)
def test_senseless_settings_are_refused(fields: dict[str, Any], message: str) -> None:
    config = core(Learning(terms=2))
    with pytest.raises(ConfigError, match=f"^{message}$"):
        Plasticity(**({"rule": RULE, "tau": {"x1": 20, "y1": 30}} | fields)).words(config)


def arrays(plasticity: Plasticity | None, **fields: Any) -> CoreArrays:
    weights = np.zeros((6, 8), np.int64)
    weights[0, 3] = 9
    parameters = {"retention": 0, "threshold": 100, "reset": 0, "reset_mode": 0, "refractory": 0}
    return CoreArrays(weights=weights, parameters=parameters, plasticity=plasticity, **fields)


def test_an_axon_that_learns_has_a_synapse_with_every_neuron_that_does() -> None:
    config = core(PAIR.unit(8))
    axons = np.array([True, True, False, False, False, False])
    neurons = np.arange(8) >= 6
    image = image_from_arrays(ChipConfig(cores=(config,)), [arrays(PAIR, plastic_axons=axons, plastic_neurons=neurons)])
    rows = regions(config)["rows"].layout.unpack(image.memories[0]["rows"])
    # Neurons 6 and 7 are word 3; neuron 3, which has a weight, is in word 1.
    assert rows["start"][:2].tolist() == [1, 3]
    assert rows["last"][:2].tolist() == [3, 3]
    assert rows["plastic"].tolist() == [1, 1, 0, 0, 0, 0]
    assert (rows["last"][2:] < rows["start"][2:]).all()


def test_a_core_that_can_learn_need_not() -> None:
    config = core(PAIR.unit(8))
    image = image_from_arrays(ChipConfig(cores=(config,)), [arrays(None)])
    assert not image.memories[0]["learning"].any()
    assert not image.memories[0]["plastic"].any()


def test_images_that_learn_are_saved_and_read(tmp_path) -> None:
    config = core(PAIR.unit(8))
    image = image_from_arrays(ChipConfig(cores=(config,)), [arrays(PAIR)])
    image.save(tmp_path / "net.loom")
    again = Image.load(tmp_path / "net.loom")
    assert again.config == image.config
    assert all((again.memories[0][name] == words).all() for name, words in image.memories[0].items())


def test_rows_that_learn_may_not_share_words() -> None:
    config = core(PAIR.unit(8))
    image = image_from_arrays(ChipConfig(cores=(config,)), [arrays(PAIR)])
    table = regions(config)
    rows = table["rows"].layout.unpack(image.memories[0]["rows"])
    rows["base"][1] = rows["base"][0] + 1
    memory = {**image.memories[0], "rows": table["rows"].layout.pack(rows)}
    message = "core 0: the row of axon 0 learns, but shares weight word 1 with another one; give it words of its own"
    with pytest.raises(ImageError, match=f"^{message}$"):
        Image(**{**vars(image), "memories": (memory,)})


def test_a_narrow_accumulator_must_hold_what_weights_may_become() -> None:
    config = core(PAIR.unit(8), accumulator_bits=9)
    with pytest.raises(ImageError, match=r"its weights could sum to 0\.\.762, beyond the 9-bit accumulator"):
        image_from_arrays(ChipConfig(cores=(config,)), [arrays(PAIR)])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"high": "a"}, "high must be a whole number, not 'a'"),
        ({"low": 0.5}, "low must be a whole number, not 0.5"),
        ({"tau": {"x1": "20"}}, r"tau must be a dict of numbers, such as {'x1': 20}, not {'x1': '20'}"),
        ({"impulse": 3}, r"impulse must be a dict of numbers, such as {'x1': 20}, not 3"),
        ({"nearest": 3}, r"nearest must be names of traces, such as \['x1'\], not 3"),
        ({"nearest": "x1"}, r"nearest must be names of traces, such as \['x1'\], not 'x1'"),
    ],
)
def test_settings_of_a_wrong_kind_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        Plasticity(rule=RULE, **values)


def test_traces_that_the_rule_does_not_use_need_no_time_constant() -> None:
    larger = core(Learning(pre_traces=2, post_traces=2, terms=8))
    words = PAIR.words(larger)
    assert larger.learning is not None
    settings = regions(larger)["learning"].layout.unpack(words["learning"])
    assert settings["x1_decay"] > 0
    assert not any(settings[f"{name}_{what}"] for name in ("x2", "y2") for what in ("decay", "impulse", "nearest"))
