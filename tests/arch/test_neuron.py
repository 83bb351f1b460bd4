from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.arch.adex import AdEx
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.layout import Field, IntArray
from spikeloom.arch.lif import RESETS, Lif
from spikeloom.arch.neuron import NeuronModel, check_int, model_class, model_from_dict, twin
from spikeloom.golden import lif as golden_lif
from spikeloom.golden.neuron import step_of
from spikeloom.hdl.neuron import NeuronPipeline, pipeline_class
from tests.helpers import adex_models, izhikevich_models, lif_models

KNOWN = {"lif": Lif, "izhikevich": Izhikevich, "adex": AdEx}
ANY_MODEL = lif_models() | izhikevich_models() | adex_models()


# Names and plain data -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KNOWN)
def test_model_is_found_by_its_name(name: str) -> None:
    assert model_class(name) is KNOWN[name]
    assert name == KNOWN[name].NAME


def test_unknown_model_is_answered_with_those_known() -> None:
    message = r"^no neuron model 'hodgkin'; known are (.+) \(a model of your own must be imported first, .*--plugin FILE\)$"
    with pytest.raises(ConfigError, match=message) as error:
        model_class("hodgkin")
    found = re.search(message, str(error.value))
    assert found is not None
    listed = found[1].split(", ")
    assert set(listed) >= set(KNOWN)
    assert listed == sorted(listed)


@given(ANY_MODEL)
def test_plain_data_rebuild_the_same_model(model: NeuronModel) -> None:
    data = model.as_dict()
    assert next(iter(data.items())) == ("name", model.NAME)
    assert model_from_dict(data) == model
    assert model_from_dict(json.loads(json.dumps(data))) == model


@pytest.mark.parametrize("data", ["lif", None, ["lif"], {}, {"name": None}, {"name": ["lif"]}, {"state_bits": 24}])
def test_data_without_a_name_are_refused(data: object) -> None:
    message = re.escape(f"a neuron model must be given by its name and fields, not {data!r}")
    with pytest.raises(ConfigError, match=f"^{message}$"):
        model_from_dict(data)


@pytest.mark.parametrize("kind", KNOWN.values(), ids=KNOWN)
def test_missing_and_unknown_fields_are_named(kind: type[NeuronModel]) -> None:
    data = kind().as_dict()
    message = f"^not the model {kind.NAME} of this version of spikeloom: missing or unknown: "
    with pytest.raises(ConfigError, match=f"{message}gain, zeal$"):
        model_from_dict(data | {"gain": 1, "zeal": 2})
    for name in [name for name in data if name != "name"]:
        with pytest.raises(ConfigError, match=f"{message}{name}$"):
            model_from_dict({key: value for key, value in data.items() if key != name})
    with pytest.raises(ConfigError, match=f"{message}{', '.join(sorted(set(data) - {'name'}))}$"):
        model_from_dict({"name": kind.NAME})


@pytest.mark.parametrize(
    ("model", "name"),
    [(kind(), field.name) for kind in KNOWN.values() for field in dataclasses.fields(kind)],  # type: ignore[arg-type]
)
@pytest.mark.parametrize("value", [None, "wide", -1, 1000, 3.5, 0.0, [1]])
def test_field_of_a_wrong_type_or_out_of_range_is_refused_by_name(model: NeuronModel, name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"^{name} (is|must be) "):
        model_from_dict(model.as_dict() | {name: value})


@pytest.mark.parametrize("model", [Lif(), Izhikevich(), AdEx()], ids=KNOWN)
def test_false_is_no_width(model: NeuronModel) -> None:
    for field in dataclasses.fields(model):  # type: ignore[arg-type]
        if field.type == "int":
            for value in (False, True):
                with pytest.raises(ConfigError, match=f"^{field.name} must be an integer, not {value}$"):
                    model_from_dict(model.as_dict() | {field.name: value})


def test_class_without_a_name_is_no_model_to_be_found() -> None:
    class Base(NeuronModel):
        pass

    class Named(Base):
        NAME = "named for a test"

    assert model_class("named for a test") is Named


# Twins --------------------------------------------------------------------------------------------------------------------


def test_twin_is_imported_by_module_and_name() -> None:
    assert twin("spikeloom.golden.lif:lif_step") is golden_lif.lif_step
    assert twin("json:dumps") is json.dumps


@pytest.mark.parametrize("kind", KNOWN.values(), ids=KNOWN)
def test_every_model_has_both_twins(kind: type[NeuronModel]) -> None:
    model = kind()
    assert callable(step_of(model))
    pipeline = pipeline_class(model)
    assert issubclass(pipeline, NeuronPipeline)
    timing = pipeline.timing_of(model)
    assert timing.latency >= 3
    assert timing.interval >= 1
    # A pipeline that gets parameters of firing says when.
    assert (timing.firing >= 3) == ("firing" in model.words())


# Integers of a configuration ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-3, 0, 7])
def test_integer_within_its_limits_is_accepted(value: int) -> None:
    check_int("width", value, -3, 7)


@pytest.mark.parametrize(
    ("value", "remedy", "message"),
    [
        (8, "", "width is 8; it must be -3 to 7 (nearest: 7)"),
        (-4, "", "width is -4; it must be -3 to 7 (nearest: -3)"),
        (10**30, "", f"width is {10**30}; it must be -3 to 7 (nearest: 7)"),
        (8, "take less", "width is 8; it must be -3 to 7; take less"),
        (True, "", "width must be an integer, not True"),
        (2.0, "take less", "width must be an integer, not 2.0"),
        ("2", "", "width must be an integer, not '2'"),
        (None, "", "width must be an integer, not None"),
    ],
)
def test_other_value_is_named_with_its_limits_and_what_to_do(value: object, remedy: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        check_int("width", value, -3, 7, remedy)


# Words --------------------------------------------------------------------------------------------------------------------


@given(ANY_MODEL)
def test_words_are_those_of_the_fields(model: NeuronModel) -> None:
    words = model.words()
    assert {"parameters", "state"} <= set(words) <= {"parameters", "firing", "own", "state"}
    assert words["state"].fields == model.state_fields()
    assert words["state"].fields[0].name == "membrane"
    names = [field.name for name, layout in words.items() if name != "state" for field in layout.fields]
    assert list(model.parameter_names()) == names
    assert len(set(names)) == len(names)
    for layout in words.values():
        assert all(1 <= field.bits <= 32 and field.count == 1 for field in layout.fields)


class _Bare(NeuronModel):
    """No more than a model must have."""

    def state_fields(self) -> tuple[Field, ...]:
        return (Field("membrane", 12, signed=True),)

    def parameter_fields(self) -> tuple[Field, ...]:
        return (Field("threshold", 10), Field("slope", 5, signed=True))


def test_model_has_only_the_words_it_names() -> None:
    model = _Bare()
    assert list(model.words()) == ["parameters", "state"]
    assert list(model.parameter_names()) == ["threshold", "slope"]
    assert model.random is False
    model.check({})


def _assert_legal(model: NeuronModel, sample: Mapping[str, IntArray], size: int) -> None:
    names = model.parameter_names()
    assert set(sample) == set(names)
    for name, values in sample.items():
        assert (values.shape, values.dtype) == ((size,), np.int64), name
        assert names[name].low <= values.min()
        assert values.max() <= names[name].high, name
    model.check(sample)


@given(ANY_MODEL, st.integers(0, 2**32 - 1), st.sampled_from([1, 7, 127, 255, 32767]))
def test_samples_of_any_model_are_legal(model: NeuronModel, seed: int, weight: int) -> None:
    _assert_legal(model, model.sample(np.random.default_rng(seed), 200, weight), 200)


def test_samples_of_a_model_that_says_nothing_visit_corners_and_small_numbers() -> None:
    sample = _Bare().sample(np.random.default_rng(1), 2000, 1)
    _assert_legal(_Bare(), sample, 2000)
    for name, low, high in (("threshold", 0, 1023), ("slope", -16, 15)):
        assert {low, high, 0, 1, 2, 3, 4} <= set(sample[name].tolist())
    assert len(set(sample["threshold"].tolist())) > 500


def test_samples_of_a_lif_neuron_visit_every_reset_and_corner() -> None:
    for number, resets in enumerate(RESETS):
        model = Lif(resets=resets, negative_threshold=True, adaptation_bits=8)
        sample = model.sample(np.random.default_rng(1), 2000, 10)
        assert set(sample.get("reset_mode", np.zeros(1, np.int64)).tolist()) == set(range(number + 1))
        assert {0, 2048, 4095, 4096} <= set(sample["retention"].tolist())
        assert (sample["threshold"] < 0).any()
        assert sample["refractory"].max() == 5
    assert (Lif().sample(np.random.default_rng(1), 100, 10)["bias"] != 0).any()


def test_same_seed_gives_the_same_sample() -> None:
    for kind in KNOWN.values():
        one, other = (kind().sample(np.random.default_rng(5), 50, 10) for _ in range(2))
        assert {name: values.tolist() for name, values in one.items()} == {name: values.tolist() for name, values in other.items()}


# Checks -------------------------------------------------------------------------------------------------------------------


def _zeros(model: NeuronModel, **values: Any) -> dict[str, IntArray]:
    return {name: np.array([0, values.get(name, 0)], np.int64) for name in model.parameter_names()}


@pytest.mark.parametrize(
    ("model", "values", "message"),
    [
        (Lif(), {"retention": 4097}, "retention 4097 is above 4096 (1.0); it must be 0 to 4096 (nearest: 4096)"),
        (
            Lif(current_bits=9),
            {"current_retention": 8191},
            "current_retention 8191 is above 4096 (1.0); it must be 0 to 4096 (nearest: 4096)",
        ),
        (
            Lif(adaptation_bits=9),
            {"adaptation_retention": 5000},
            "adaptation_retention 5000 is above 4096 (1.0); it must be 0 to 4096 (nearest: 4096)",
        ),
        (Lif(resets="all"), {"reset_mode": 3}, "reset_mode is 3; it must be 0 to 2 (nearest: 2)"),
        (
            Lif(negative_threshold=True),
            {"negative_threshold": 1},
            "negative_threshold is 1; it must be 0 or negative (nearest: 0)",
        ),
        (
            Lif(state_bits=8, bias_bits=0, negative_threshold=True),
            {"reset": -128},
            "reset is -128, whose negative does not fit; it must be -127 or more (nearest: -127)",
        ),
        (
            Izhikevich(),
            {"reset": 6, "threshold": 5},
            "reset[1] is 6; it must not exceed the threshold, 5, or the neuron would never stop firing",
        ),
    ],
)
def test_integers_that_make_no_sense_are_refused(model: NeuronModel, values: dict[str, int], message: str) -> None:
    model.check(_zeros(model))
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        model.check(_zeros(model, **values))


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (Lif(), {"retention": 4096}),
        (Lif(resets="all"), {"reset_mode": 2, "reset": 9, "threshold": -9}),
        (Lif(state_bits=8, bias_bits=0, negative_threshold=True), {"reset": -128, "negative_saturates": 1}),
        (Lif(state_bits=8, bias_bits=0, negative_threshold=True), {"reset": -128, "reset_mode": 1}),
        (Lif(negative_threshold=True), {"negative_threshold": -(1 << 23)}),
        (Izhikevich(), {"reset": 5, "threshold": 5}),
    ],
)
def test_integers_at_the_limit_are_accepted(model: NeuronModel, values: dict[str, int]) -> None:
    model.check(_zeros(model, **values))
