from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest
from hypothesis import given

from spikeloom.arch.adex import AdEx
from spikeloom.arch.config import ChipConfig, CoreConfig, bits_for, ceil_div
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.layout import Field
from spikeloom.arch.learning import Learning
from spikeloom.arch.lif import Lif
from spikeloom.arch.neuron import NeuronModel
from tests.helpers import core_configs


def _nameless(number: int) -> NeuronModel:
    """A model that no image can name: it is not registered."""

    class Nameless(NeuronModel):
        def state_fields(self) -> tuple[Field, ...]:
            return (Field("membrane", 8, signed=True),)

        def parameter_fields(self) -> tuple[Field, ...]:
            return (Field("threshold", 8, signed=True),)

        def as_dict(self) -> dict[str, Any]:
            return {"name": self.NAME}

    Nameless.NAME = f"nameless{number}"
    return Nameless()


NINE = tuple(map(_nameless, range(9)))
NOISY = Lif(threshold_noise_bits=4)

#: Per parameter: smallest legal, largest legal, one that is not a power of two (where that is legal), and what these need beside them.
LEGAL: dict[str, tuple[list[int], dict[str, Any]]] = {
    "axons": ([1, 8192, 37], {}),
    "neurons": ([1, 8192, 37], {"axons": 8}),
    "weight_bits": ([1, 2, 4, 8, 16], {}),
    "lanes": ([1, 128], {}),
    "pipelines": ([1, 16], {"lanes": 64}),
    "group": ([1, 8192], {}),
    "weight_words": ([1, 2**19, 499_999], {"lanes": 1}),
    "accumulator_bits": ([9, 16, 11], {"weight_bits": 8, "axons": 256}),
    "sets": ([1, 256, 37], {}),
    "levels": ([1, 16, 3], {}),
    "destinations": ([1, 2**15, 777], {}),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, (values, _) in LEGAL.items() for value in values])
def test_legal_value_is_kept(name: str, value: int) -> None:
    assert getattr(CoreConfig(**LEGAL[name][1] | {name: value}), name) == value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"axons": 0}, "axons is 0; it must be 1 to 8192 (nearest: 1)"),
        ({"axons": 8193}, "axons is 8193; it must be 1 to 8192 (nearest: 8192)"),
        ({"neurons": 0}, "neurons is 0; it must be 1 to 8192 (nearest: 1)"),
        ({"neurons": 8193}, "neurons is 8193; it must be 1 to 8192 (nearest: 8192)"),
        ({"weight_bits": 3}, "weight_bits is 3; it must be 1, 2, 4, 8 or 16"),
        ({"weight_bits": 17}, "weight_bits is 17; it must be 1, 2, 4, 8 or 16"),
        ({"weight_bits": 6}, "weight_bits is 6; it must be 1, 2, 4, 8 or 16"),
        ({"weight_bits": 8.0}, "weight_bits is 8.0; it must be 1, 2, 4, 8 or 16"),
        ({"weight_bits": True}, "weight_bits is True; it must be 1, 2, 4, 8 or 16"),
        ({"lanes": 0}, "lanes is 0; it must be 1 to 128 (nearest: 1)"),
        ({"lanes": 129}, "lanes is 129; it must be 1 to 128 (nearest: 128)"),
        ({"lanes": 12}, "lanes is 12; it must be a power of two, for example 8 or 16"),
        ({"pipelines": 0}, "pipelines is 0; it must be 1 to 8; raise lanes for more pipelines"),
        ({"lanes": 4, "pipelines": 8}, "pipelines is 8; it must be 1 to 4; raise lanes for more pipelines"),
        ({"lanes": 64, "pipelines": 32}, "pipelines is 32; it must be 1 to 16 (nearest: 16)"),
        ({"pipelines": 6}, "pipelines is 6; it must be a power of two, for example 4 or 8"),
        ({"neurons": 10, "pipelines": 4}, "neurons is 10; it must be a multiple of the 4 pipelines"),
        ({"group": 0}, "group is 0; it must be 1 to 8192 (nearest: 1)"),
        ({"group": 8193}, "group is 8193; it must be 1 to 8192 (nearest: 8192)"),
        ({"group": 3}, "group is 3; it must be a power of two, for example 2 or 4"),
        ({"weight_words": 0}, "weight_words is 0; it must be 1 to 262144 (nearest: 1)"),
        # 8 lanes x 8 bits are two bus words of 32 bits each, so half of the 2**19 addresses of a region.
        ({"weight_words": 2**18 + 1}, "weight_words is 262145; it must be 1 to 262144 (nearest: 262144)"),
        # 8 tags of 16 bits each are four.
        (
            {"weight_words": 2**17 + 1, "learning": Learning(tag_bits=16)},
            "weight_words is 131073; it must be 1 to 131072 (nearest: 131072)",
        ),
        ({"short_term": 1}, "short_term must be True or False, not 1"),
        ({"short_term": True, "weight_bits": 1}, "short_term needs weight_bits 2, 4, 8 or 16, not 1"),
        ({"learning": True}, "learning must be a Learning or None, not True"),
        ({"learning": Learning(), "weight_bits": 2}, "learning needs weight_bits 4, 8 or 16, not 2"),
        (
            {"axons": 8192, "neurons": 8192, "lanes": 1},
            "weight_words is 67108864; it must be 1 to 524288; give fewer weight_words than a full crossbar has",
        ),
        ({"levels": 0}, "levels is 0; it must be 1 to 16 (nearest: 1)"),
        ({"levels": 17}, "levels is 17; it must be 1 to 16 (nearest: 16)"),
        # 256 axons of 8 bits can sum to 8 + 8 bits.
        ({"accumulator_bits": 8}, "accumulator_bits is 8; it must be 9 to 16 (nearest: 9)"),
        ({"accumulator_bits": 17}, "accumulator_bits is 17; it must be 9 to 16 (nearest: 16)"),
        ({"destinations": 0}, "destinations is 0; it must be 1 to 32768 (nearest: 1)"),
        ({"destinations": 32769}, "destinations is 32769; it must be 1 to 32768 (nearest: 32768)"),
        ({"stochastic_synapses": 1}, "stochastic_synapses must be True or False, not 1"),
        ({"stochastic_synapses": True}, "stochastic_synapses needs weight_bits 1, not 8"),
        ({"sets": 0}, "sets is 0; it must be 1 to 256 (nearest: 1)"),
        ({"sets": 257}, "sets is 257; it must be 1 to 256 (nearest: 256)"),
        ({"sets": True}, "sets must be an integer, not True"),
        ({"sets": 4, "group": 2}, "group is 2, but with sets each neuron chooses its own; leave one of them out"),
        ({"models": ()}, "models is 0; it must be 1 to 8; a core holds at least one neuron model, and few different ones"),
        ({"models": NINE}, "models is 9; it must be 1 to 8; a core holds at least one neuron model, and few different ones"),
        ({"models": (Lif(), Lif(state_bits=20))}, "models holds lif, lif; each may occur once"),
        ({"models": (Izhikevich(), Lif(), Izhikevich())}, "models holds izhikevich, lif, izhikevich; each may occur once"),
        ({"models": (Lif(), "adex")}, "models holds 'adex', which is not a neuron model"),
        ({"models": (Lif,)}, f"models holds {Lif!r}, which is not a neuron model"),
        ({"models": 1}, "models must be a sequence of neuron models, not 1"),
        ({"models": Lif}, f"models must be a sequence of neuron models, not {Lif!r}"),
        ({"models": Lif()}, "models must be a sequence of neuron models; write models=(Lif(...),)"),
        ({"readback": "yes"}, "readback must be True or False, not 'yes'"),
        ({"counters": None}, "counters must be True or False, not None"),
        ({"axons": 2.5}, "axons must be an integer, not 2.5"),
        ({"levels": True}, "levels must be an integer, not True"),
    ],
)
def test_illegal_value_is_named_with_its_limit(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        CoreConfig(**arguments)


def test_omitted_sizes_are_resolved() -> None:
    config = CoreConfig(axons=100, neurons=50, lanes=16, weight_bits=4)
    assert config.words == 400  # 100 rows of ceil(50 / 16) = 4 words
    assert config.sum_bits == 11  # 4 bits + ceil(log2(100)) = 7
    assert config.routes == 50


def test_typed_sum_is_wide_enough_for_the_weights_of_the_types() -> None:
    # 9 bits + ceil(log2(100)) = 7
    assert CoreConfig(axons=100, weight_bits=1).sum_bits == 16
    with pytest.raises(ConfigError, match=r"^accumulator_bits is 9; it must be 10 to 16 \(nearest: 10\)$"):
        CoreConfig(axons=100, weight_bits=1, accumulator_bits=9)


def test_single_axon_needs_no_wider_accumulator_than_a_weight() -> None:
    assert CoreConfig(axons=1, weight_bits=8).sum_bits == 8
    assert CoreConfig(axons=1, weight_bits=1).sum_bits == 9


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        ({"neurons": 50, "lanes": 16}, "neuron_words", 4),
        ({"neurons": 50, "lanes": 16}, "neuron_slots", 64),
        ({"neurons": 64, "lanes": 64}, "neuron_words", 1),
        ({"lanes": 64, "weight_bits": 16}, "weight_word_bits", 1024),
        ({"lanes": 1, "weight_bits": 2}, "weight_word_bits", 2),
        ({"neurons": 50, "group": 16}, "parameter_sets", 4),
        ({"neurons": 50, "group": 8192}, "parameter_sets", 1),
        ({"neurons": 50, "sets": 7}, "parameter_sets", 7),
        ({"lanes": 64, "weight_bits": 1}, "weight_word_bits", 64),
        ({"weight_bits": 1}, "typed", True),
        ({"weight_bits": 2}, "typed", False),
        ({}, "kinds", False),
        ({"sets": 1}, "kinds", True),
        ({"models": (Lif(), Izhikevich())}, "kinds", True),
        ({"models": (Izhikevich(),)}, "kinds", False),
        ({}, "random", False),
        ({"weight_bits": 1}, "random", False),
        ({"weight_bits": 1, "stochastic_synapses": True}, "random", True),
        ({"models": (Izhikevich(), NOISY)}, "random", True),
        ({"axons": 1}, "delay_words", 1),
        ({"axons": 16}, "delay_words", 1),
        ({"axons": 17}, "delay_words", 2),
    ],
)
def test_derived_size(arguments: dict[str, Any], name: str, value: int) -> None:
    assert getattr(CoreConfig(**arguments), name) == value


@pytest.mark.parametrize(("count", "bits"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (256, 8), (257, 9)])
def test_bits_for_reaches_the_last_entry(count: int, bits: int) -> None:
    assert bits_for(count) == bits


@pytest.mark.parametrize(("a", "b", "quotient"), [(0, 4, 0), (1, 4, 1), (4, 4, 1), (5, 4, 2), (7, 1, 7)])
def test_ceil_div_rounds_up(a: int, b: int, quotient: int) -> None:
    assert ceil_div(a, b) == quotient


def test_models_may_come_as_any_sequence() -> None:
    config = CoreConfig(models=[Lif(), AdEx()])  # type: ignore[arg-type]
    assert config.models == (Lif(), AdEx())
    assert config == CoreConfig(models=(Lif(), AdEx()))


def test_model_is_found_by_name() -> None:
    config = CoreConfig(models=(Izhikevich(substeps=2), Lif()))
    assert config.model("izhikevich") == Izhikevich(substeps=2)
    assert config.model("lif") == Lif()
    assert config.model("adex") is None


def test_eight_models_are_legal() -> None:
    assert len(CoreConfig(models=NINE[:8]).models) == 8


@given(core_configs())
def test_dict_rebuilds_the_same_core(config: CoreConfig) -> None:
    data = config.as_dict()
    assert CoreConfig.from_dict(data) == config
    assert CoreConfig.from_dict(json.loads(json.dumps(data))) == config


@given(core_configs())
def test_dict_rebuilds_the_same_chip(config: CoreConfig) -> None:
    chip = ChipConfig(cores=(config,))
    rebuilt = ChipConfig.from_dict(chip.as_dict())
    assert rebuilt == chip
    assert rebuilt.geometry_id == chip.geometry_id


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(CoreConfig)])
def test_every_parameter_changes_the_geometry_id(name: str) -> None:
    # A 12-bit accumulator is legal for every one of the changed values.
    config = CoreConfig(accumulator_bits=12)
    other: dict[str, Any] = {
        "axons": 255, "neurons": 128, "weight_bits": 4, "lanes": 16, "pipelines": 2, "group": 2, "weight_words": 100,
        "models": (Lif(state_bits=23),), "sets": 5, "stochastic_synapses": True, "accumulator_bits": 13, "levels": 15,
        "destinations": 300, "readback": False, "counters": False, "reach_x": 2, "reach_y": 3, "targets": 300, "payload": True,
        "learning": Learning(), "short_term": True,
    }  # fmt: skip
    if name == "stochastic_synapses":
        config = dataclasses.replace(config, weight_bits=1)
    changed = ChipConfig(cores=(dataclasses.replace(config, **{name: other[name]}),))
    assert changed.geometry_id != ChipConfig(cores=(config,)).geometry_id


#: Every field of every model, with a value other than the default, and what that needs beside it.
OTHER_FIELDS: dict[NeuronModel, dict[str, Any]] = {
    Lif(leak_bits=4, current_bits=20): {
        "state_bits": 23, "fraction_bits": 7, "decay": False, "leak_bits": 5, "stochastic_leak": True, "bias_bits": 15,
        "current_bits": 21, "current_wraps": True, "resets": "all", "refractory_bits": 5, "negative_threshold": True,
        "threshold_noise_bits": 3, "adaptation_bits": 9,
    },
    Izhikevich(multiplier_bits=16): {
        "membrane_bits": 17, "recovery_bits": 25, "multiplier_bits": 17, "substeps": 2, "step_exponent": 1, "multipliers": 3,
        "input_shift": 5, "bias_bits": 9,
    },
    AdEx(): {"membrane_bits": 23, "recovery_bits": 23, "substeps": 5, "input_shift": 7, "bias_bits": 9, "table_bits": 6},
}  # fmt: skip


@pytest.mark.parametrize(
    ("model", "name"),
    [(model, field.name) for model in OTHER_FIELDS for field in dataclasses.fields(model)],  # type: ignore[arg-type]
)
def test_every_field_of_a_model_changes_the_geometry_id(model: NeuronModel, name: str) -> None:
    other = dataclasses.replace(model, **{name: OTHER_FIELDS[model][name]})  # type: ignore[type-var]
    assert (
        ChipConfig(cores=(CoreConfig(models=(other,)),)).geometry_id != ChipConfig(cores=(CoreConfig(models=(model,)),)).geometry_id
    )


def test_order_of_the_models_changes_the_geometry_id() -> None:
    first, second = (ChipConfig(cores=(CoreConfig(models=models),)) for models in ((Lif(), AdEx()), (AdEx(), Lif())))
    assert first.geometry_id != second.geometry_id


def test_explicit_default_has_the_same_geometry_id() -> None:
    given_sizes = CoreConfig(axons=64, neurons=64, weight_words=512, accumulator_bits=14, destinations=64)
    assert ChipConfig(cores=(given_sizes,)).geometry_id == ChipConfig(cores=(CoreConfig(axons=64, neurons=64),)).geometry_id


def test_geometry_id_has_32_bits() -> None:
    assert 0 <= ChipConfig(cores=(CoreConfig(),)).geometry_id < 2**32


MESH = ChipConfig(
    cores=(CoreConfig(axons=64, neurons=32, lanes=4), CoreConfig(axons=300, neurons=16, lanes=2)) * 4,
    columns=4,
    rows=2,
    chips_across=2,
)


def test_cores_of_a_mesh_know_its_size() -> None:
    assert {(core.reach_x, core.reach_y, core.meshed, core.target_count) for core in MESH.cores} == {(3, 1, True, 300)}
    assert [core.axons for core in MESH.cores] == [64, 300] * 4
    assert not ChipConfig(cores=(CoreConfig(),)).meshed


def test_place_of_a_core_counts_columns_first() -> None:
    assert [MESH.place(core) for core in (0, 3, 4, 7)] == [(0, 0), (3, 0), (0, 1), (3, 1)]


def test_host_of_a_core_is_the_corner_of_its_chip() -> None:
    assert [MESH.host_core(core) for core in range(8)] == [0, 0, 2, 2, 0, 0, 2, 2]


def test_tile_is_a_rectangle_with_links_to_its_neighbours() -> None:
    left, right = MESH.tile(0), MESH.tile(1)
    assert (MESH.tile_cores(0), MESH.tile_cores(1)) == ([0, 1, 4, 5], [2, 3, 6, 7])
    assert (left.columns, left.rows, left.links, right.links) == (2, 2, ("east",), ("west",))
    # The packets of a part reach the whole.
    assert left.cores == tuple(MESH.cores[core] for core in (0, 1, 4, 5))
    assert left.geometry_id != right.geometry_id
    assert right.tile(0) is right


def test_inner_tile_has_four_links() -> None:
    mesh = ChipConfig(cores=(CoreConfig(axons=4, neurons=4),) * 9, columns=3, rows=3, chips_across=3, chips_down=3)
    assert mesh.tile(4).links == ("north", "east", "south", "west")
    assert [mesh.tile(number).links for number in (0, 2, 6, 8)] == [
        ("east", "south"),
        ("south", "west"),
        ("north", "east"),
        ("north", "west"),
    ]


def test_chip_survives_its_dict() -> None:
    for chip in (MESH, MESH.tile(0), ChipConfig(cores=(CoreConfig(),), payload=True)):
        again = ChipConfig.from_dict(json.loads(json.dumps(chip.as_dict())))
        assert again == chip
        assert again.geometry_id == chip.geometry_id
    assert len(MESH.as_dict()["cores"]) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": 0}, "columns is 0; it must be 1 to 64"),
        ({"rows": 65}, "rows is 65; it must be 1 to 64"),
        ({"columns": 3}, "cores holds 8; 3 columns and 2 rows need 6, row by row"),
        ({"cores": CoreConfig()}, "cores must be a sequence with one CoreConfig for each core, not CoreConfig"),
        ({"cores": ("big",) * 8}, "cores holds 'big', which is not a CoreConfig"),
        ({"chips_across": 3}, "chips_across is 3; it must divide the 4 columns, so that all chips are equally large"),
        ({"chips_down": 3}, "chips_down is 3; it must be 1 to 2"),
        ({"links": ("up",), "chips_across": 1}, "links is ('up',); it may hold each of north, east, south, west once"),
        ({"links": "north", "chips_across": 1}, "links is 'north'; it may hold each of north, east, south, west once"),
        (
            {"links": ("north", "north"), "chips_across": 1},
            "links is ('north', 'north'); it may hold each of north, east, south, west once",
        ),
        ({"links": ("north",)}, "links is given for a mesh of several chips; tile() gives each of them its links"),
        ({"link_lanes": 17}, "link_lanes is 17; it must be 1 to 16"),
        ({"link_cell": 3}, "link_cell is 3; it must be 4 to 64"),
        ({"payload": 8}, "payload must be True or False, not 8"),
    ],
)
def test_senseless_chip_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        dataclasses.replace(MESH, **changes)


def test_links_of_a_lone_core_need_a_reach() -> None:
    with pytest.raises(ConfigError, match=r"links is \('east',\), but no core has a reach_x; packets over these links need one"):
        ChipConfig(cores=(CoreConfig(reach_y=1),), links=("east",))
    with pytest.raises(ConfigError, match="no core has a reach_y"):
        ChipConfig(cores=(CoreConfig(reach_x=1),), links=("north", "east"))
    assert ChipConfig(cores=(CoreConfig(reach_x=1),), links=("east",)).meshed


def test_number_of_a_tile_is_checked() -> None:
    with pytest.raises(ConfigError, match=r"^chip is 2; it must be 0 to 1"):
        MESH.tile(2)


def test_core_of_another_type_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^cores holds 'big', which is not a CoreConfig$"):
        ChipConfig(cores=("big",))  # type: ignore[arg-type]


def _change(data: dict[str, Any], what: str) -> Any:
    core = dict(data["cores"][0])
    if what == "unknown":
        return data | {"cores": [core | {"cache": 3}]}
    if what == "unknown chip":
        return data | {"layers": 2}
    if what == "missing":
        del core["axons"]
        return data | {"cores": [core]}
    if what == "missing chip":
        return {name: value for name, value in data.items() if name != "rows"}
    return {
        "no core": data | {"cores": [None]}, "list": [core], "none": None, "core": data | {"cores": core}, "kinds": data | {"core_kinds": [1]},
        "odd kinds": data | {"core_kinds": [True]},
    }[what]  # fmt: skip


NOT_OURS = "not a chip geometry of this version of spikeloom: "


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("unknown", f"{NOT_OURS}missing or unknown in the core: cache$"),
        ("missing", f"{NOT_OURS}missing or unknown in the core: axons$"),
        ("unknown chip", f"{NOT_OURS}missing or unknown in the chip: layers$"),
        ("missing chip", f"{NOT_OURS}missing or unknown in the chip: rows$"),
        ("no core", f"{NOT_OURS}missing or unknown in the core: accumulator_bits, axons,"),
        ("list", f"{NOT_OURS}missing or unknown in the chip: chips_across, chips_down, columns, cores, "),
        ("none", f"{NOT_OURS}missing or unknown in the chip: chips_across, chips_down, columns, cores, "),
        ("core", f"{NOT_OURS}cores, core_kinds and links must be lists"),
        ("kinds", "core_kinds must hold numbers below 1"),
        ("odd kinds", "core_kinds must hold numbers below 1"),
    ],
)
def test_dict_of_another_version_is_refused(what: str, message: str) -> None:
    data = _change(ChipConfig(cores=(CoreConfig(),)).as_dict(), what)
    with pytest.raises(ConfigError, match=f"^{message}"):
        ChipConfig.from_dict(data)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ("lif", "models must be a list of neuron models, not 'lif'"),
        (None, "models must be a list of neuron models, not None"),
        ([], "models is 0; it must be 1 to 8; a core holds at least one neuron model, and few different ones"),
        (["lif"], "a neuron model must be given by its name and fields, not 'lif'"),
        ([{"name": "hodgkin"}], "no neuron model 'hodgkin'; known are "),
        ([Lif().as_dict(), {"name": "adex"}], "not the model adex of this version of spikeloom: missing or unknown: bias_bits, "),
        ([Lif().as_dict() | {"gain": 2}], "not the model lif of this version of spikeloom: missing or unknown: gain"),
        ([Lif().as_dict() | {"state_bits": 7}], "state_bits is 7; it must be 8 to 28 (nearest: 8)"),
        ([Lif().as_dict(), Lif().as_dict()], "models holds lif, lif; each may occur once"),
    ],
)
def test_wrong_models_in_a_dict_are_refused(models: object, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        CoreConfig.from_dict(CoreConfig().as_dict() | {"models": models})


@pytest.mark.parametrize("kind", [CoreConfig, Lif, Izhikevich, AdEx])
def test_docstring_describes_every_parameter(kind: type) -> None:
    text = kind.__doc__ or ""
    assert [field.name for field in dataclasses.fields(kind) if f"\n    {field.name} : " not in text] == []
