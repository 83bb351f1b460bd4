"""``spikeloom check-neuron`` and ``--plugin`` as a user calls them."""

from __future__ import annotations

import importlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikeloom
from spikeloom.arch import neuron as arch_neuron
from spikeloom.arch.neuron import model_class
from spikeloom.boards.flow import Report
from spikeloom.cli.neuron import PARTS, load_plugins, make_model, measure_pipeline
from spikeloom.network.description import FixedCell
from tests.cli.conftest import Command

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own_neuron" / "resonate.py"
#: Without whole cores and place and route, which take their time.
QUICK = ("--cases", 3000, "--networks", 0, "--no-resources")


@pytest.fixture(autouse=True)
def forget(tmp_path: Path) -> Iterator[None]:
    """Models and modules of a test are gone after it."""
    model_class("lif")
    known = dict(arch_neuron._REGISTRY)
    yield
    arch_neuron._REGISTRY.clear()
    arch_neuron._REGISTRY.update(known)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def plugin(folder: Path, name: str, *changes: tuple[str, str]) -> Path:
    """The example under another name, with lines changed."""
    text = EXAMPLE.read_text().replace('NAME = "resonate"', f'NAME = "{name}"')
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    path = folder / f"{name}.py"
    path.write_text(text)
    return path


def mistake(result: Any, code: int, *told: str) -> None:
    """Exit code, nothing on standard output, one line that says what is wrong."""
    assert (result.code, result.out) == (code, ""), result
    assert result.err.startswith("spikeloom: error: ")
    assert result.err.count("\n") == 1
    for text in told:
        assert text in result.err


def test_a_model_of_ones_own_passes(command: Command, tmp_path: Path) -> None:
    result = command("check-neuron", "good_one", "--plugin", plugin(tmp_path, "good_one"), *QUICK)
    assert (result.code, result.err) == (0, "")
    assert "latency 6, interval 1" in result.out
    assert [line.count("1,000 updates") for line in result.out.splitlines()].count(1) == 3
    assert result.out.endswith("good_one: all good\n")


def test_a_difference_is_exit_code_1_and_names_the_command_that_repeats_it(command: Command, tmp_path: Path) -> None:
    path = plugin(tmp_path, "bad_one", ("fire = membrane > self.firing", "fire = membrane >= self.firing"))
    result = command("check-neuron", "bad_one", "--plugin", path, "--set", "input_shift=2", "--seed", 3, *QUICK)
    mistake(result, 1, "bad_one: ", "(golden), got ", "parameters: cosine ", "state: membrane ", "seed 3")
    replay = f"spikeloom check-neuron bad_one --plugin {path} --set input_shift=2 --cases 3000 --networks 0 --seed 3 --no-resources"
    assert result.err.endswith(f"; replay: {replay}\n")
    assert command(*shlex.split(replay)[1:]) == result


def test_cores_are_checked_in_all_geometries(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def cases(config: Any, fabric: Any, seeds: Any) -> str | None:
        seen.append((len(config.cores[0].models), list(seeds)))
        return None if len(seen) < 3 else "case 4: spike differs"

    monkeypatch.setattr("spikeloom.sim.neuron_check.compiled_cases", cases)
    result = command("check-neuron", "lif", "--cases", 300, "--networks", 2, "--seed", 5, "--no-resources")
    mistake(result, 1, "case 4: spike differs", "--networks 2 --seed 5")
    assert seen == [(1, [5000, 5001]), (2, [5000, 5001]), (2, [5000, 5001])]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nothing",), "no neuron model 'nothing'; known are adex, izhikevich, lif"),
        (("lif", "--set", "decay"), "--set 'decay' is not of the form field=value"),
        (("lif", "--set", "speed=3"), "a lif model has no field 'speed'; it has state_bits, fraction_bits"),
        (("lif", "--set", "state_bits=many"), "--set 'state_bits=many': 'many' is not a number"),
        (("lif", "--set", "decay=1"), "--set 'decay=1': the value must be true or false"),
        (("lif", "--set", "state_bits=40"), "state_bits is 40; it must be 8 to 28 (nearest: 28)"),
        (("lif", "--set", "resets=some"), "resets is 'some'; it must be absolute, relative or all"),
        (("lif", "--set", "state_bits=1.5"), "state_bits must be an integer, not 1.5"),
    ],
)
def test_wrong_arguments_are_exit_code_2(command: Command, arguments: tuple[str, ...], told: str) -> None:
    mistake(command("check-neuron", *arguments, *QUICK), 2, told)


@pytest.mark.parametrize("arguments", [("--cases", 0), ("--networks", -1), ("--family", "virtex")])
def test_wrong_options_are_exit_code_2(command: Command, arguments: tuple[object, ...]) -> None:
    result = command("check-neuron", "lif", *arguments)
    assert (result.code, result.out) == (2, "")
    assert str(arguments[0]) in result.err


def test_settings_have_the_type_of_the_field() -> None:
    model = make_model("lif", ["decay=false", "resets=all", "leak_bits=9", "state_bits=0x10", "bias_bits=8"])
    assert (model.as_dict()["decay"], model.as_dict()["resets"], model.as_dict()["state_bits"]) == (False, "all", 16)


# Plug-ins -------------------------------------------------------------------------------------------------------------------

MODEL = """
from spikeloom.arch.neuron import NeuronModel
class Mine(NeuronModel):
    NAME = "{name}"
    def state_fields(self): return ()
    def parameter_fields(self): return ()
"""


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("missing_file.py", None, "does not exist or is not a Python file"),
        ("text_file.txt", "NAME = 1", "does not exist or is not a Python file"),
        ("syntax_file.py", "def step(:\n", "cannot be imported: SyntaxError: invalid syntax (syntax_file.py, line 1)"),
        ("import_file.py", "\nimport nowhere_at_all\n", "cannot be imported: ModuleNotFoundError: No module named 'nowhere_at_all' (line 2)"),
        ("raise_file.py", "x = 1\nx / 0\n", "cannot be imported: ZeroDivisionError: division by zero (line 2)"),
        ("exit_file.py", "raise SystemExit(3)\n", "cannot be imported: SystemExit: 3 (line 1)"),
        ("empty_file.py", "", "has no neuron model; a model is a class derived from NeuronModel, with a NAME"),
        ("numpy.py", MODEL.format(name="mine"), "'numpy' cannot be the name of a module of yours, or is that of another; rename the file"),
        ("colorsys.py", MODEL.format(name="mine"), "rename the file"),
        ("two-words.py", MODEL.format(name="mine"), "'two-words' cannot be the name of a module"),
        ("taken_file.py", MODEL.format(name="lif"), "there is a neuron model 'lif' already; give yours another NAME"),
    ],
)  # fmt: skip
def test_a_plug_in_that_cannot_be_imported_is_one_line(
    command: Command, tmp_path: Path, where: str, file: str, text: str | None, told: str
) -> None:
    path = tmp_path / file
    if text is not None:
        path.write_text(text)
    lif = model_class("lif")
    option = ("--plugin", path)
    arguments = (*option, "check-neuron", "lif", *QUICK) if where == "before" else ("check-neuron", "lif", *option, *QUICK)
    mistake(command(*arguments), 1, f"--plugin {path}", told)
    assert model_class("lif") is lif
    assert path.stem not in sys.modules or sys.modules[path.stem].__file__ != str(path)


def test_a_file_is_imported_once_however_it_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = plugin(tmp_path, "once_only")
    load_plugins([path])
    kind = model_class("once_only")
    monkeypatch.chdir(tmp_path)
    load_plugins([path, Path("once_only.py")])
    assert model_class("once_only") is kind
    # A module that Python finds by itself is the same one.
    other = plugin(tmp_path, "twice_only")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("twice_only")
    load_plugins([other])
    assert model_class("twice_only") is module.Resonate


def test_an_image_with_a_model_of_ones_own_runs_with_the_plug_in_only(command: Command, tmp_path: Path) -> None:
    path = plugin(tmp_path, "tuned_one")
    load_plugins([path])
    resonator = sys.modules["tuned_one"].resonator
    network = spikeloom.Network(dt=1.0)
    source = network.input(1)
    neurons = network.population(1, FixedCell(model_name="tuned_one", parameters=resonator(12)), "tuned")
    network.projection(source, neurons, 50)
    network.output(neurons)
    core = spikeloom.CoreConfig(axons=16, neurons=16, models=(model_class("tuned_one")(),))  # type: ignore[call-arg]
    spikeloom.compile(network, config=spikeloom.ChipConfig(cores=(core,))).save(tmp_path / "net.loom")
    spikes = np.zeros((60, 1), np.bool_)
    spikes[[5, 17]] = True
    np.savez(tmp_path / "spikes.npz", spikes=spikes)
    arguments = ("run", tmp_path / "net.loom", "-i", tmp_path / "spikes.npz", "-o", tmp_path / "out.npz")
    # As in another process.
    del arch_neuron._REGISTRY["tuned_one"], sys.modules["tuned_one"]
    result = command(*arguments)
    assert result.code != 0
    assert "no neuron model 'tuned_one'" in result.err
    assert "on the command line with --plugin FILE" in result.err
    assert result.err.count("\n") == 1
    assert command("--plugin", path, *arguments).code == 0
    with np.load(tmp_path / "out.npz") as out:
        assert out["spikes"].sum() == 1


# Resources ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def flow(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Synthesis, place and route that only say that they were called."""
    calls: list[tuple[object, ...]] = []

    def place_and_route(netlist: object, family: str, part: object, mhz: float, seed: int) -> Report:
        calls.append((family, part, mhz, seed))
        return Report(100.0 + seed, {"lut": 500, "ff": 400, "ram": 0, "dsp": 4}, {})

    monkeypatch.setattr("spikeloom.boards.flow.synthesize", lambda *arguments: arguments)
    monkeypatch.setattr("spikeloom.boards.flow.place_and_route", place_and_route)
    return calls


def test_the_report_takes_the_measuring_registers_off(flow: list[tuple[object, ...]]) -> None:
    result = measure_pipeline(make_model("izhikevich", ["multipliers=3"]), PARTS["ecp5"], [1, 2, 3])
    assert [call[3] for call in flow] == [1, 2, 3]
    assert result["fmax_mhz"] == {"1": 101.0, "2": 102.0, "3": 103.0}
    assert (result["interval"], result["neurons_per_ms"]) == (4, 25500)
    # State words of 43 bits at both ends.
    assert 0 < result["used"]["lut"] < 500 - 43
    assert result["used"]["ff"] < 400 - 2 * 43
    assert result["used"]["dsp"] == 4


@pytest.mark.parametrize(("family", "parts"), [("both", ["ecp5", "ice40-up"]), ("up5k", ["ice40-up"]), ("ecp5", ["ecp5"])])
def test_the_table_of_resources(command: Command, flow: list[tuple[object, ...]], family: str, parts: list[str]) -> None:
    result = command("check-neuron", "lif", "--cases", 30, "--networks", 0, "--family", family, "--seed", 4)
    assert result.code == 0
    assert [call[0] for call in flow] == parts
    assert "placer seed 4" in result.out
    assert result.out.count("104.0") == len(parts)
    assert result.out.count("104,000") == len(parts)
