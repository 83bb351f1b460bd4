"""The demo, run once: it compiles two simulators, so the first time takes a minute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import image as pictures

import spikeloom
from spikeloom.cli import demo as demo_module
from spikeloom.cli.demo import VERILOG_BOARDS, WEIGHT_BITS, accuracy
from spikeloom.examples.digits.data import TICKS, unseen_samples
from spikeloom.network.image import Image
from spikeloom.sim.lockstep import Mismatch
from spikeloom.sim.verify import LockstepResult
from tests.cli.conftest import Command

#: Accuracy that the network of this repository must reach in real numbers, and what integers may cost.
LEAST_ACCURACY = 0.94
LARGEST_LOSS = {8: 0.01, 4: 0.03}
#: Images whose whole state is compared after each tick; ``make demo`` takes more.
LOCKSTEP_SAMPLES = 20


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _check_table(out: str, results: dict[str, Any]) -> None:
    lines = [" ".join(line.split()) for line in out.splitlines()]
    samples = f"{results['samples']} images"
    assert any(f"float, layer by layer │ │ {_percent(results['float_accuracy'])} │ {samples}" in line for line in lines)
    for bits, entry in results["weights"].items():
        golden = f"golden model, {bits}-bit weights │ {bits} │ {_percent(entry['golden_accuracy'])} │ {samples}"
        rtl = (
            f"generated hardware, {bits}-bit weights │ {bits} │ {_percent(entry['rtl_accuracy'])} │ {samples} │ "
            f"{entry['cycles_per_image']:.0f} │ equal in {entry['lockstep_samples']} images, {entry['lockstep_ticks']} ticks"
        )
        assert any(golden in line for line in lines)
        assert any(rtl in line for line in lines)


def test_demo_proves_that_hardware_equals_the_model_and_is_as_accurate(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_module, "LOCKSTEP_SAMPLES", LOCKSTEP_SAMPLES)
    folder = tmp_path / "new" / "demo"
    result = command("demo", "-o", folder)
    assert (result.code, result.err) == (0, "")

    results = json.loads((folder / "demo.json").read_text())
    spikes, labels = unseen_samples()
    assert (results["samples"], results["ticks"]) == (len(labels), TICKS) == (360, 16)
    assert results["float_accuracy"] >= LEAST_ACCURACY
    assert list(results["weights"]) == [str(bits) for bits in WEIGHT_BITS]
    for bits in WEIGHT_BITS:
        entry = results["weights"][str(bits)]
        assert entry["golden_accuracy"] == entry["rtl_accuracy"]
        assert abs(entry["golden_accuracy"] - results["float_accuracy"]) <= LARGEST_LOSS[bits]
        assert entry["rtl_samples"] == len(labels)
        # Each sample has a tick more than steps, to drain the second layer.
        assert (entry["lockstep_samples"], entry["lockstep_ticks"]) == (LOCKSTEP_SAMPLES, LOCKSTEP_SAMPLES * (TICKS + 1))
        assert entry["cycles_per_image"] > 0
        # The image it left gives that accuracy.
        out = spikeloom.open("golden", Image.load(folder / f"digits_{bits}bit.loom")).run(spikes)
        assert accuracy(out, labels) == entry["golden_accuracy"]
    _check_table(result.out, results)

    picture = pictures.imread(folder / "demo.png")
    assert picture.shape[0] > 500
    assert picture.shape[1] > 500
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 20  # curves in several colours, not an empty sheet

    for name in VERILOG_BOARDS:
        verilog = (folder / name / "spikeloom.v").read_text()
        report = json.loads((folder / name / "report.json").read_text())
        assert results["verilog"][name] == report["files"]["spikeloom.v"]["sha256"]
        assert f"│ {len(verilog.splitlines())} │" in " ".join(result.out.split())
    for path in (folder / "demo.png", folder / "digits_8bit.loom"):
        assert str(path) in result.out


def _fails(command: Command, folder: Path) -> str:
    result = command("demo", "-o", folder)
    assert result.code == 1
    assert "Traceback" not in result.err
    assert result.err.count("\n") == 1
    assert not (folder / "demo.json").exists()
    return result.err


def test_a_mismatch_ends_the_demo_with_exit_code_1(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hardware:
        def __init__(self, golden: Any) -> None:
            self.golden = golden

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def run(self, spikes: Any, **_: Any) -> Any:
            out = self.golden.run(spikes)
            out[5, 3, 2] ^= spoilt
            return out

        def counters(self) -> dict[str, Any]:
            return {"cycles": np.ones(360)}

    real = spikeloom.open
    monkeypatch.setattr(
        spikeloom, "open", lambda kind, image: real(kind, image) if kind == "golden" else Hardware(real("golden", image))
    )
    mismatch = Mismatch("membrane", 4, "neuron 7", 1, 2)
    good, bad = LockstepResult(100, 1700, 5, 9), LockstepResult(3, 40, 5, 9, 2, mismatch)

    spoilt = True
    monkeypatch.setattr(demo_module, "lockstep", lambda *_, **__: good)
    message = _fails(command, tmp_path / "outputs")
    assert message == "spikeloom: error: 8-bit weights, sample 5: output spikes of golden model and hardware differ\n"

    spoilt = False
    monkeypatch.setattr(demo_module, "lockstep", lambda *_, **__: bad)
    message = _fails(command, tmp_path / "state")
    assert message == f"spikeloom: error: 8-bit weights, sample 2: {mismatch}\n"
