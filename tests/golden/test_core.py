from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.arch.adex import AdEx
from spikeloom.arch.config import CoreConfig
from spikeloom.arch.errors import InputError
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.lif import Lif
from spikeloom.sim.cases import Events
from tests.golden.naive_core import NaiveCore
from tests.helpers import Contents, LoneCore, core_case, core_configs, empty_contents, pack, relay_config, relay_contents


def _ints(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


def _core(config: CoreConfig, contents: Contents, batch: int = 1) -> LoneCore:
    return LoneCore(config, pack(config, contents), batch)


def _inject(core: LoneCore, events: list[Events]) -> None:
    """Events of each sample, before one tick."""
    for sample, of_sample in enumerate(events):
        for delay in np.unique(of_sample.delays).tolist():
            axons = of_sample.axons[of_sample.delays == delay]
            present = np.zeros((len(events), len(axons)), np.bool_)
            present[sample] = True
            core.inject(axons, present, delay)


# The whole tick contract ---------------------------------------------------------------------------------------------------


def _assert_same_state(core: LoneCore, sample: int, naive: NaiveCore, where: str) -> None:
    for name, values in core.state.items():
        assert values[sample].tolist() == [state.get(name, 0) for state in naive.states], f"{name}, {where}"
    slots, axons = np.nonzero(core.scheduler.pending[:, sample])
    assert set(zip(slots.tolist(), axons.tolist(), strict=True)) == {(due % 16, axon) for due, axon in naive.pending}, where
    for name in ("events", "row_words", "spikes", "merged", "dropped"):
        assert getattr(core, name)[sample] == getattr(naive, name), f"{name}, {where}"


def _compare(config: CoreConfig, seed: int, batch: int, ticks: int) -> int:
    """Run golden and naive core over random networks and events; the spikes there were."""
    case = core_case(config, seed, ticks * batch)
    memory = case.image.memories[0]
    core = LoneCore(config, memory, batch)
    naives = [NaiveCore(config, memory) for _ in range(batch)]
    for tick in range(ticks):
        events = [case.ticks[tick * batch + sample] for sample in range(batch)]
        _inject(core, events)
        spikes, numbers, outputs = core.tick()
        assert core.ticks == tick + 1
        for sample, naive in enumerate(naives):
            for axon, delay in zip(events[sample].axons.tolist(), events[sample].delays.tolist(), strict=True):
                naive.inject(axon, delay)
            fired, sent = naive.tick()
            where = f"seed {seed}, tick {tick}, sample {sample}"
            assert np.flatnonzero(spikes[sample]).tolist() == fired, where
            assert numbers[outputs[sample]].tolist() == sent, where
            _assert_same_state(core, sample, naive, where)
    return int(core.spikes.sum())


@settings(max_examples=60)
@given(core_configs(max_axons=40, max_neurons=32), st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_core_follows_the_tick_contract(config: CoreConfig, seed: int, batch: int) -> None:
    _compare(config, seed, batch, ticks=20)


EVERY_LIF = Lif(
    state_bits=20,
    fraction_bits=2,
    leak_bits=9,
    stochastic_leak=True,
    current_bits=18,
    current_wraps=True,
    resets="all",
    negative_threshold=True,
    threshold_noise_bits=18,
    adaptation_bits=14,
)
LIVELY: dict[str, dict[str, Any]] = {
    "lif": {"lanes": 4, "pipelines": 2, "group": 2, "weight_bits": 4, "levels": 3, "destinations": 70},
    "every option of lif, sets": {"lanes": 4, "weight_bits": 4, "sets": 9, "models": (EVERY_LIF,)},
    "three models, sets": {"lanes": 4, "weight_bits": 16, "sets": 9, "models": (Lif(), Izhikevich(), AdEx())},
    "typed": {"weight_bits": 1, "lanes": 8},
    "stochastic": {"weight_bits": 1, "lanes": 8, "stochastic_synapses": True, "models": (EVERY_LIF,)},
}


# Seeds whose random networks fire often.
@pytest.mark.parametrize("seed", [2, 4, 5, 7])
@pytest.mark.parametrize("name", LIVELY)
def test_lively_core_follows_the_tick_contract(name: str, seed: int) -> None:
    config = CoreConfig(axons=37, neurons=26, **LIVELY[name])
    assert _compare(config, seed, batch=2, ticks=60) > 100


# Each rule by itself -------------------------------------------------------------------------------------------------------


def test_event_runs_through_a_chain_of_neurons() -> None:
    config = relay_config()
    core = _core(config, relay_contents(config))
    core.inject(_ints(0), np.ones((1, 1), np.bool_))
    spikes, numbers, outputs = core.tick()
    assert spikes.tolist() == [[True, False]]
    assert (numbers.tolist(), outputs.tolist()) == ([0], [[False]])
    spikes, numbers, outputs = core.tick()
    assert spikes.tolist() == [[False, True]]
    assert (numbers.tolist(), outputs.tolist()) == ([0], [[True]])
    assert core.tick()[0].tolist() == [[False, False]]


def test_second_event_for_same_axon_merges_with_the_first() -> None:
    config = relay_config()
    core = _core(config, relay_contents(config))
    core.inject(_ints(0, 0), np.ones((1, 2), np.bool_))
    core.inject(_ints(0), np.ones((1, 1), np.bool_))
    core.tick()
    assert (core.merged.tolist(), core.events.tolist()) == ([2], [1])


def test_event_from_outside_merges_with_one_from_a_neuron() -> None:
    config = relay_config()
    core = _core(config, relay_contents(config))
    # Neuron 0 fires in tick 0 and sends to axon 2, due in tick 1. The same axon gets an event from outside, due in tick 1 too.
    core.inject(_ints(0), np.ones((1, 1), np.bool_))
    core.inject(_ints(2), np.ones((1, 1), np.bool_), delay=2)
    core.tick()
    assert core.merged.tolist() == [1]
    core.tick()
    assert core.events.tolist() == [2]


@pytest.mark.parametrize(("axon", "delay"), [(3, 1), (-1, 1), (0, 0), (65535, 15)])
def test_impossible_event_is_dropped_and_counted_once(axon: int, delay: int) -> None:
    config = relay_config()
    core = _core(config, relay_contents(config), batch=2)
    core.inject(_ints(axon), np.array([[True], [False]]), delay)
    assert core.dropped.tolist() == [1, 0]
    assert not core.scheduler.pending.any()


@pytest.mark.parametrize("delay", [-1, 16])
def test_event_with_a_delay_that_no_slot_has_is_refused(delay: int) -> None:
    config = relay_config()
    core = _core(config, relay_contents(config))
    with pytest.raises(InputError, match=f"^an event has the delay {delay}; it must be 0 to 15$"):
        core.inject(_ints(0), np.ones((1, 1), np.bool_), delay)
    assert not core.scheduler.pending.any()
    assert core.dropped.tolist() == [0]


@pytest.mark.parametrize("delay", [1, 7, 15])
def test_event_with_a_delay_is_due_that_many_ticks_after_the_last(delay: int) -> None:
    config = relay_config()
    core = _core(config, relay_contents(config))
    for _ in range(20):
        core.tick()
    core.inject(_ints(0), np.ones((1, 1), np.bool_), delay)
    assert [bool(core.tick()[0][0, 0]) for _ in range(40)] == [k + 1 == delay for k in range(40)]


@pytest.mark.parametrize("delay", [1, 7, 15])
def test_spike_arrives_after_the_delay_of_its_destination(delay: int) -> None:
    config = relay_config()
    contents = relay_contents(config)
    contents["routes"]["delay"][0] = delay
    core = _core(config, contents)
    core.inject(_ints(0), np.ones((1, 1), np.bool_))
    assert [bool(core.tick()[0][0, 1]) for _ in range(40)] == [k == delay for k in range(40)]


def test_neuron_of_a_later_level_stands_still_until_its_tick() -> None:
    config = relay_config(levels=3)
    contents = empty_contents(config)
    contents["own"]["bias"][:] = 5
    contents["parameters"]["retention"][:] = 4096
    contents["control"]["last"] = _ints(0, 0, 1)
    core = _core(config, contents)
    potentials = []
    for _ in range(4):
        core.tick()
        potentials.append(core.state["membrane"][0].tolist())
    # Neuron 1 takes part from tick 2 on, and in all ticks behind the last word of the table.
    assert potentials == [[5, 0], [10, 0], [15, 5], [20, 10]]


def test_input_of_a_neuron_that_does_not_take_part_is_lost() -> None:
    config = relay_config()
    contents = relay_contents(config)
    contents["parameters"]["retention"][:] = 4096
    core = _core(config, contents)
    core.inject(_ints(2), np.ones((1, 1), np.bool_))
    core.tick()
    assert core.state["membrane"].tolist() == [[0, 0]]
    assert core.events.tolist() == [1]
    core.tick()
    assert core.spikes.tolist() == [0]


def test_neurons_of_a_group_share_parameters_and_not_state() -> None:
    config = relay_config(neurons=5, group=2)
    contents = empty_contents(config)
    contents["firing"]["threshold"] = _ints(10, 20, 30)
    contents["own"]["bias"][:] = 25
    core = _core(config, contents)
    assert core.tick()[0].tolist() == [[True, True, True, True, False]]


@pytest.mark.parametrize("without", [{"bias_bits": 0}, {"refractory_bits": 0}, {"resets": "absolute"}])
def test_feature_left_out_leaves_the_rest_as_it_is(without: dict[str, Any]) -> None:
    config, smaller = relay_config(), relay_config(models=(Lif(state_bits=16, fraction_bits=0, **without),))
    with_all, with_less = _core(config, relay_contents(config)), _core(smaller, relay_contents(smaller))
    for core in (with_all, with_less):
        core.inject(_ints(0, 2), np.ones((1, 2), np.bool_))
    for _ in range(5):
        assert with_all.tick()[0].tolist() == with_less.tick()[0].tolist()
    assert with_all.spikes.tolist() == with_less.spikes.tolist() == [2]


def test_clear_returns_to_the_initial_state() -> None:
    config = CoreConfig(axons=20, neurons=12, lanes=4, weight_bits=4)
    case = core_case(config, seed=3)
    core = LoneCore(config, case.image.memories[0])

    def run() -> list[list[int]]:
        spikes = []
        for events in case.ticks:
            _inject(core, [events])
            spikes.append(np.flatnonzero(core.tick()[0][0]).tolist())
        return spikes

    first = run()
    assert any(first)
    core.clear()
    assert core.ticks == 0
    assert not any(array.any() for array in (*core.state.values(), core.scheduler.pending))
    assert not any(getattr(core, name).any() for name in ("events", "row_words", "spikes", "merged", "dropped"))
    assert run() == first


def test_clear_can_change_the_number_of_samples() -> None:
    config = relay_config()
    core = _core(config, relay_contents(config))
    core.clear(4)
    assert core.state["membrane"].shape == (4, 2)
    core.clear()
    assert core.tick()[0].shape == (4, 2)


@pytest.mark.parametrize("lanes", [2, 4, 16])
def test_lanes_and_pipelines_change_no_result(lanes: int) -> None:
    # The same 16 x 16 weights, in words of 1 neuron and of `lanes` neurons, whole rows each.
    rng = np.random.default_rng(5)
    matrix = rng.integers(-8, 8, (16, 16))
    results = []
    for width, pipelines in ((1, 1), (lanes, 2)):
        config = CoreConfig(axons=16, neurons=16, weight_bits=4, lanes=width, pipelines=pipelines, destinations=16)
        contents = empty_contents(config)
        words = 16 // width
        weights = matrix.reshape(-1, width)
        contents["weights"]["weight"] = weights[:, 0] if width == 1 else weights
        contents["rows"] = {"base": np.arange(16) * words, "start": np.zeros(16, np.int64), "last": np.full(16, words - 1)}
        contents["parameters"]["retention"][:] = 3900
        contents["firing"]["threshold"][:] = 500
        contents["route_index"] = {"first": np.arange(16), "count": np.ones(16, np.int64)}
        contents["routes"] = {"kind": np.zeros(16, np.int64), "delay": np.arange(16) % 15 + 1, "target": np.arange(16)[::-1].copy()}
        core = _core(config, contents)
        events = np.random.default_rng(6).random((50, 16)) < 0.3
        spikes = []
        for active in events:
            core.inject(np.arange(16), active[np.newaxis])
            spikes.append(core.tick()[0].tolist())
        results.append((spikes, core.state["membrane"].tolist(), core.merged.tolist()))
    assert np.any(results[0][0])
    assert results[0] == results[1]
