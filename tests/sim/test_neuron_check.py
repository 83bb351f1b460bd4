# amaranth: UnusedElaboratable=no
"""The check of neuron models: it passes what is right, and names what is wrong with plug-ins that were broken on purpose."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from spikeloom.arch import neuron as arch_neuron
from spikeloom.arch.adex import AdEx
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.lif import Lif
from spikeloom.arch.neuron import NeuronModel, model_class
from spikeloom.cli.neuron import load_plugins
from spikeloom.hdl.neuron import Timing
from spikeloom.sim import neuron_check
from spikeloom.sim.neuron_check import NeuronError, check_core, check_model, check_pipeline, random_starts

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own_neuron" / "resonate.py"
Change = tuple[str, str]
Made = Callable[..., NeuronModel]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    """The example with lines changed, imported as a user's file."""
    model_class("lif")
    known, modules = dict(arch_neuron._REGISTRY), set(sys.modules)

    def make(*changes: Change) -> NeuronModel:
        text = "# amaranth: UnusedElaboratable=no\n" + EXAMPLE.read_text().replace('NAME = "resonate"', 'NAME = "changed"')
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        path = tmp_path / "changed_neuron.py"
        path.write_text(text)
        load_plugins([path])
        return model_class("changed")()  # type: ignore[call-arg]

    yield make
    arch_neuron._REGISTRY.clear()
    arch_neuron._REGISTRY.update(known)
    for name in set(sys.modules) - modules:
        if name.startswith("changed"):
            del sys.modules[name]


def check(model: NeuronModel, cases: int = 2000) -> neuron_check.PipelineResult:
    step, _ = check_model(model)
    return check_pipeline(model, step, cases, seed=1)


# Right ----------------------------------------------------------------------------------------------------------------------


def test_the_example_is_right_and_thousands_of_neurons_take_seconds(made: Made) -> None:
    model = made()
    step, timing = check_model(model)
    assert timing == Timing(latency=6, interval=1, firing=5)
    calls: list[tuple[int, int]] = []
    for bits in neuron_check.SUM_BITS[:2]:
        result = check_pipeline(model, step, 10_000, 1, bits, lambda done, total: calls.append((done, total)))
        assert result.neurons == 10_000
        assert 0.2 < result.spikes / result.neurons < 0.8
        assert result.cycles > 10_000
    assert calls[-1] == (10_000, 10_000)


@pytest.mark.parametrize(
    "model",
    [
        Lif(),
        Lif(leak_bits=9, stochastic_leak=True, resets="all", negative_threshold=True, threshold_noise_bits=8, current_bits=20),
        Izhikevich(substeps=2, multipliers=3, multiplier_bits=16, bias_bits=12),
        AdEx(),
    ],
    ids=["lif", "stochastic lif", "izhikevich", "adex"],
)
def test_the_models_of_spikeloom_are_right(model: NeuronModel) -> None:
    assert check(model, 10_000).neurons == 10_000


def test_a_core_with_the_example(made: Made) -> None:
    # Cores with several models take longer to compile; tests/sim/test_core.py has them.
    done: list[int] = []
    check_core(made(), "alone", 4, 1, lambda number, _: done.append(number))
    assert done == [1, 2, 3, 4]


def test_geometries_exercise_groups_sets_and_changes_of_model() -> None:
    for model in (Lif(), Izhikevich()):
        configs = [config for config, fabric in neuron_check.geometries(model).values() if fabric.poison_collisions]
        assert len(configs) == 3
        assert all(any(part.NAME == model.NAME for part in config.models) for config in configs)
        assert {len(config.models) for config in configs} == {1, 2}
        assert any(config.sets for config in configs)
        assert any(config.group > 1 and config.pipelines > 1 for config in configs)


@pytest.mark.parametrize("interval", [1, 4])
def test_starts_are_back_to_back_then_at_multiples_then_after_pauses(interval: int) -> None:
    timing = Timing(latency=20, interval=interval)
    gaps = np.diff(random_starts(np.random.default_rng(1), 4000, timing))
    assert (gaps[:1999] == interval).all()
    short = gaps[gaps <= timing.latency]
    assert (short % interval == 0).all()
    assert set(short // interval) >= {1, 2, 3}
    assert len(gaps) > len(short)


# Wrong: found before anything is compiled ---------------------------------------------------------------------------------

GOLDEN_RESULT = 'return {"membrane": np.where(fire, parameters["reset"], membrane), "current": np.where(fire, 0, current)}, fire'
HDL = 'HDL = f"{__name__}:ResonatePipeline"'
PARAMETERS = 'return (Field("cosine", BITS, signed=True), Field("sine", BITS, signed=True))'
TIMING = "return Timing(latency=6, interval=1, firing=5)"
EARLY: dict[str, tuple[Change, str]] = {
    "no twin in hardware": ((HDL, ""), 'HDL is None; it must name the pipeline in hardware as "module:class"'),
    "a twin that is not there": (
        (HDL, 'HDL = f"{__name__}:Nothing"'),
        "HDL is 'changed_neuron:Nothing', but there is no such thing: module 'changed_neuron' has no attribute 'Nothing'",
    ),
    "a module that is not there": ((HDL, 'HDL = "changed_nowhere:X"'), "there is no such thing: No module named 'changed_nowhere'"),
    "a twin that is no pipeline": (
        (HDL, 'HDL = f"{__name__}:saturated"'),
        "HDL is 'changed_neuron:saturated', which is not a class derived from NeuronPipeline",
    ),
    "no golden twin": (('GOLDEN = f"{__name__}:resonate_step"', ""), "GOLDEN is None; it must name the golden step"),
    "a name twice": ((PARAMETERS, 'return (Field("cosine", 16), Field("reset", 16))'), "reset occurs more than once in"),
    "a wide field": ((PARAMETERS, 'return (Field("cosine", 40), Field("sine", 16))'), "a field must be a Field with 1 to 32 bits"),
    "a latency of 2": ((TIMING, "return Timing(latency=2, firing=5)"), "timing_of(): latency is 2; it must be at least 3"),
    "an interval of 0": ((TIMING, "return Timing(latency=6, interval=0, firing=5)"), "interval is 0; it must be at least 1"),
    "no cycle of firing": ((TIMING, "return Timing(latency=6)"), "firing is 0; with firing fields it must be 3 to 6"),
    "no timing": ((TIMING, "return 6"), "timing_of() gives 6; it must be a Timing"),
    "floats": ((GOLDEN_RESULT, GOLDEN_RESULT.replace("membrane)", "membrane / 1)")), "gives membrane as float64 of shape [2, 40]"),
    "a missing key": ((GOLDEN_RESULT, 'return {"membrane": membrane}, fire'), "missing or unknown fields: current"),
    "a wrong key": ((GOLDEN_RESULT, GOLDEN_RESULT.replace("current", "courant", 1)), "missing or unknown fields: courant, current"),
    "a wrong shape": ((GOLDEN_RESULT, GOLDEN_RESULT.replace("membrane)", "membrane)[0]")), "it must be int64 of shape [2, 40]"),
    "spikes as numbers": ((GOLDEN_RESULT, GOLDEN_RESULT[:-4] + "fire * 1"), "gives spikes as int64 of shape [2, 40]; they must be bool"),
    "no spikes": ((GOLDEN_RESULT, "return state"), "the golden step gives a dict; it must be a tuple of state and spikes"),
    "an exception": ((GOLDEN_RESULT, "return state['voltage'], fire"), "the golden step fails: KeyError: 'voltage' (changed_neuron.py, line"),
    "input changed": ((GOLDEN_RESULT, "y -= 1\n    " + GOLDEN_RESULT), "changes state membrane, which it was given"),
    "neighbours matter": (
        (GOLDEN_RESULT, GOLDEN_RESULT.replace("membrane)", "membrane * 0 + fire.sum())")),
        "gives a neuron another result when other neurons or samples stand beside it",
    ),
    "too wide": (
        (GOLDEN_RESULT, GOLDEN_RESULT.replace("membrane)", "40000)")),
        "gives membrane 40000, but its field of 16 bits holds -32768 to 32767",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EARLY)
def test_a_plug_in_that_breaks_the_interface_is_named_in_one_line(made: Made, name: str) -> None:
    change, message = EARLY[name]
    with pytest.raises(NeuronError, match=re.escape(message)) as caught:
        check_model(made(change))
    assert str(caught.value).startswith("changed: ")
    assert "\n" not in str(caught.value)


SAMPLE = """
    def sample(self, rng, size, weight):
        values = NeuronModel.sample(self, rng, size, weight)
        {change}
        return values

    def check(self, parameters):
        if (parameters["threshold"] < 0).any():
            raise {error}

    def state_fields("""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('del values["reset"]', "sample() gives missing or unknown fields: reset"),
        (
            'values["reset"] = values["reset"] + 0.5',
            "sample() gives reset as float64 of shape [64]; it must be int64 of shape [64]",
        ),
        ('values["reset"] = values["reset"] * 0 + 70000', "sample() gives reset 70000, but its field of 16 bits holds"),
        ("pass", "sample() gives parameters that check() refuses: the threshold is negative"),
    ],
)
def test_samples_must_be_legal(made: Made, change: str, message: str) -> None:
    text = SAMPLE.format(change=change, error='ConfigError("the threshold is negative")')
    imports = (
        "from spikeloom.arch.layout import",
        "from spikeloom.arch.errors import ConfigError\nfrom spikeloom.arch.layout import",
    )
    with pytest.raises(NeuronError, match=re.escape(message)):
        check_model(made(("\n    def state_fields(", text), imports))


# Wrong: found by running it -------------------------------------------------------------------------------------------------

SHIFT = "age.eq(Cat(self.start, age))"
CLEAR = ", self.new_state.eq(Const(0, 2 * BITS))]"
LATE: dict[str, tuple[Change, str]] = {
    "a wrong latency": (
        (TIMING, "return Timing(latency=7, firing=5)"),
        "done of neuron 0 comes 6 cycles after its start; declared are a latency of 7 and an interval of 1",
    ),
    "a wrong interval": ((SHIFT, "age.eq(Cat(self.start & ~age[0], age))"), "done of neuron 1 comes 7 cycles after its start"),
    "no done": (("self.done.eq(age[5])", "self.done.eq(0)"), "2000 neurons started, but done came 0 times"),
    "done too often": (
        ("self.done.eq(age[5])", "self.done.eq(age[5] | ~age.any())"),
        "done of neuron 0 comes ",
    ),
    "outputs that stay": ((CLEAR, "]"), "new_state or spike is not zero in a cycle without done"),
    "a spike that stays": (("self.spike.eq(age[4] & fire)", "self.spike.eq(fire)"), "new_state or spike is not zero"),
    "firing taken late": ((TIMING, "return Timing(latency=6, firing=4)"), "differs: neuron "),
    "a comparison": (("fire = membrane > self.firing", "fire = membrane >= self.firing"), "differs: neuron "),
    "a sum taken late": (('"drive", self.synaptic_sum', '"drive", register("late", self.synaptic_sum)'), "current differs: neuron "),
    "a state taken late": (('"x", self.state.current', '"x", register("late", self.state.current)'), "differs: neuron "),
    "no saturation": (('"membrane", saturated(potential)', '"membrane", potential[:BITS].as_signed()'), "differs: neuron "),
    "a circuit that fails": (("age = Signal(6)", "age = Signal(-6)"), "the pipeline fails: "),
}  # fmt: skip


@pytest.mark.parametrize("name", LATE)
def test_hardware_that_differs_is_found(made: Made, name: str) -> None:
    change, message = LATE[name]
    with pytest.raises(NeuronError, match=re.escape(message)) as caught:
        check(made(change))
    assert "\n" not in str(caught.value)


def test_a_difference_names_all_that_is_needed_to_understand_it(made: Made) -> None:
    with pytest.raises(NeuronError) as caught:
        check(made(("fire = membrane > self.firing", "fire = membrane >= self.firing")))
    number = r"(-?\d+)"
    found = re.search(
        rf"neuron \d+, run \d+, seed 1, 16-bit sums: expected .*; expected membrane {number}, current {number}, spike 0; "
        rf"got membrane {number}, current 0, spike 1; parameters: cosine {number}, sine {number}, threshold {number}, reset {number}; "
        rf"state: membrane {number}, current {number}; input: synaptic_sum {number}, random 0 \(\d+ of 2000 neurons differ\)",
        str(caught.value),
    )
    assert found is not None, str(caught.value)
    values = [int(text) for text in found.groups()]
    assert values[0] == values[5], "the potential is just the threshold"
    assert values[2] == values[6], "the reset was taken"


def test_a_difference_in_a_core_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neuron_check, "compiled_cases", lambda *_: "case 7: membrane differs")
    with pytest.raises(NeuronError, match=r"lif: core alone: case 7: membrane differs; geometry: CoreConfig\("):
        check_core(Lif(), "alone", 3, 1)
