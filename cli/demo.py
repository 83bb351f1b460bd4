"""``spikeloom demo``: the whole way on real handwritten digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import spikeloom
from spikeloom.arch.boards import board_geometry
from spikeloom.boards.build import generate, to_json, write_folder
from spikeloom.boards.targets import target
from spikeloom.cli.console import print_table, progress_bar, say, spinner
from spikeloom.cli.main import Different
from spikeloom.cli.picture import draw_run
from spikeloom.examples.digits.data import NETWORK, unseen_samples
from spikeloom.network.evaluate import evaluate
from spikeloom.sim.verify import lockstep

#: Board whose hardware is simulated.
BOARD = "icebreaker"
#: Boards for which Verilog is written: one of each family.
VERILOG_BOARDS = ("icebreaker", "ulx3s")
WEIGHT_BITS = (8, 4)
#: Samples whose whole state is compared after each tick.
LOCKSTEP_SAMPLES = 100
#: Sample shown in the picture.
PICTURE_SAMPLE = 0


def accuracy(spikes: npt.NDArray[np.bool_], labels: npt.NDArray[np.int64]) -> float:
    """Share of samples whose most active output is the label; the lowest number wins a tie."""
    return float((spikes.sum(axis=1).argmax(axis=1) == labels).mean())


def run_demo(folder: Path) -> None:
    """Run everything, print the tables, and write picture, images, Verilog and ``demo.json`` into a folder."""
    network = spikeloom.read_nir(NETWORK)
    spikes, labels = unseen_samples()
    say(
        f"Network: {NETWORK.name}, trained with snnTorch; {len(labels)} handwritten digits it has never seen, {spikes.shape[1]} ticks each."
    )
    real = evaluate(network, spikes)[network.outputs[0].label]
    float_accuracy = accuracy(real, labels)
    rows: list[tuple[object, ...]] = [
        ("float, layer by layer", "", f"{100 * float_accuracy:.2f} %", f"{len(labels)} images", "", "")
    ]
    results: dict[str, Any] = {"samples": len(labels), "ticks": spikes.shape[1], "float_accuracy": float_accuracy, "weights": {}}
    for bits in WEIGHT_BITS:
        image = spikeloom.compile(network, board=BOARD, weight_bits=bits, samples=spikes[:LOCKSTEP_SAMPLES])
        folder.mkdir(parents=True, exist_ok=True)
        image.save(folder / f"digits_{bits}bit.loom")
        with spikeloom.open("golden", image) as golden, progress_bar(f"golden model, {bits}-bit weights") as progress:
            outputs = golden.run(spikes, progress=progress)
        with spinner(f"hardware, {bits}-bit weights") as stage:
            stage("generating and compiling (kept for the next time)")
            hardware = spikeloom.open("rtl", image)
        with hardware, progress_bar(f"simulated hardware, {bits}-bit weights") as progress:
            simulated = hardware.run(spikes, progress=progress)
            cycles = hardware.counters()["cycles"]
        with progress_bar(f"lockstep, {bits}-bit weights") as progress:
            proof = lockstep(image, spikes[:LOCKSTEP_SAMPLES], progress=progress)
        if proof.mismatch is not None:
            raise Different(f"{bits}-bit weights, sample {proof.sample}: {proof.mismatch}")
        if not np.array_equal(outputs, simulated):
            sample = int(np.argwhere(outputs != simulated)[0, 0])
            raise Different(f"{bits}-bit weights, sample {sample}: output spikes of golden model and hardware differ")
        golden_accuracy, rtl_accuracy = accuracy(outputs, labels), accuracy(simulated, labels)
        rows.append((f"golden model, {bits}-bit weights", bits, f"{100 * golden_accuracy:.2f} %", f"{len(labels)} images", "", ""))
        rows.append(
            (
                f"generated hardware, {bits}-bit weights",
                bits,
                f"{100 * rtl_accuracy:.2f} %",
                f"{len(labels)} images",
                f"{cycles.mean():.0f}",
                f"equal in {proof.samples} images, {proof.ticks} ticks",
            )
        )
        results["weights"][str(bits)] = {
            "golden_accuracy": golden_accuracy,
            "rtl_accuracy": rtl_accuracy,
            "rtl_samples": len(labels),
            "cycles_per_image": float(cycles.mean()),
            "lockstep_samples": proof.samples,
            "lockstep_ticks": proof.ticks,
        }
        if bits == WEIGHT_BITS[0]:
            with spikeloom.open("golden", image) as golden:
                draw_run(
                    golden,
                    spikes[PICTURE_SAMPLE],
                    folder / "demo.png",
                    f"A handwritten {labels[PICTURE_SAMPLE]}, {bits}-bit weights",
                )
    print_table(
        "Accuracy, and proof that the hardware computes the same",
        ("what", "weight bits", "accuracy", "on", "cycles per image", "state after each tick"),
        rows,
    )
    generated = []
    for name in VERILOG_BOARDS:
        geometry = board_geometry(name)
        with spinner(name) as stage:
            stage("Verilog")
            report = generate(target(name), geometry.chip(), folder / name)
        core = geometry.chip().cores[0]
        generated.append(
            (
                name,
                geometry.title,
                core.axons,
                core.neurons,
                core.words * core.lanes,
                len((folder / name / "spikeloom.v").read_text().splitlines()),
            )
        )
        results.setdefault("verilog", {})[name] = report["files"]["spikeloom.v"]["sha256"]
    print_table("Verilog", ("board", "name and part", "axons", "neurons", "synapses", "lines"), generated)
    write_folder(folder, {"demo.json": to_json(results).encode()})
    say(f"Picture: {folder / 'demo.png'}. Verilog, images and figures: {folder}.")
    say(f"Next: spikeloom verify {folder / 'digits_8bit.loom'}; spikeloom build --board {BOARD} -o build/{BOARD}")
