"""All twenty behaviours in floating point, golden model and simulated hardware: results, table and figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import spikeloom
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.cli.console import print_table, progress_bar, spinner
from spikeloom.examples.behaviours.checks import CHECKS, Comparison, comparison
from spikeloom.examples.behaviours.network import Case, make_cases
from spikeloom.examples.behaviours.reference import Run, simulate
from spikeloom.examples.behaviours.stimuli import BEHAVIOURS, Behaviour
from spikeloom.hdl.izhikevich import IzhikevichPipeline
from spikeloom.sim.verify import lockstep

#: Clock of the rates (MHz).
CLOCK_MHZ = 100


@dataclass(frozen=True, slots=True)
class Result:
    """One behaviour.

    Parameters
    ----------
    behaviour : Behaviour
    exact, golden : Run
        In floating point, and in the golden model.
    rtl : Run or None
        In simulated hardware.
    """

    behaviour: Behaviour
    exact: Run
    golden: Run
    rtl: Run | None

    @property
    def comparison(self) -> Comparison:
        """Floating point and golden model."""
        return comparison(self.behaviour, self.exact, self.golden)

    @property
    def rtl_equal(self) -> bool:
        """Whether the hardware had the same spikes and potentials as the golden model."""
        return (
            self.rtl is not None
            and np.array_equal(self.rtl.spikes, self.golden.spikes)
            and np.array_equal(self.rtl.potential, self.golden.potential)
        )

    @property
    def rtl_passed(self) -> bool:
        """Whether the hardware shows the behaviour."""
        return self.rtl is not None and bool(CHECKS[self.behaviour.letter](self.rtl))


@dataclass(frozen=True, slots=True)
class CoreFigures:
    """What the hardware of one core did.

    Parameters
    ----------
    dt : float
        Tick (ms).
    letters : str
        Behaviours on it.
    neurons, axons, ticks, events, cycles : int
        Of the whole run, up to the end of the last behaviour.
    interval : int
        Cycles from one neuron to the next in the pipeline.
    lockstep_ticks : int
        Ticks after which outputs, potentials, recovery variables and pending events were compared.
    mismatch : str
        The first difference; empty if there is none.
    """

    dt: float
    letters: str
    neurons: int
    axons: int
    ticks: int
    events: int
    cycles: int
    interval: int
    lockstep_ticks: int
    mismatch: str

    def as_dict(self) -> dict[str, Any]:
        """The figures, and what follows from them."""
        per_tick = self.cycles / self.ticks
        rate = CLOCK_MHZ * 1000
        return {
            "tick_ms": self.dt,
            "behaviours": self.letters,
            "neurons": self.neurons,
            "axons": self.axons,
            "ticks": self.ticks,
            "events": self.events,
            "cycles_per_tick": round(per_tick, 1),
            "neurons_per_ms": round(self.neurons * rate / per_tick),
            "pipeline_cycles_per_neuron": self.interval,
            "pipeline_neurons_per_ms": rate // self.interval,
            "lockstep_ticks": self.lockstep_ticks,
            "mismatch": self.mismatch or "none",
        }


def measure(case: Case, name: str) -> tuple[dict[str, Run], CoreFigures]:
    """Run a case on its generated hardware, and in lockstep with the golden model."""
    core = case.image.config.cores[0]
    with spinner(f"hardware, {name}") as stage:
        stage("generating and compiling (kept for the next time)")
        chip = spikeloom.open("rtl", case.image)
        with chip:
            stage("running")
            runs = case.runs(chip)
            counters = {key: int(values[0]) for key, values in chip.counters().items()}
        stage("lockstep with the golden model")
        proof = lockstep(case.image, case.spikes)
    figures = CoreFigures(
        dt=case.dt,
        letters="".join(sorted(b.letter for b in case.behaviours)),
        neurons=len(case.behaviours),
        axons=core.axons,
        ticks=counters["ticks"],
        events=counters["events"],
        cycles=counters["cycles"],
        interval=IzhikevichPipeline.timing_of(case.model).interval,
        lockstep_ticks=proof.ticks,
        mismatch="" if proof.mismatch is None else str(proof.mismatch),
    )
    return runs, figures


def run_all(robust: bool, widths: Izhikevich, *, rtl: bool = True) -> tuple[list[Result], list[CoreFigures]]:
    """All twenty, in the order of the panels, and the figures of the cores if there is hardware."""
    what = "robust" if robust else "original"
    exact: dict[str, Run] = {}
    golden: dict[str, Run] = {}
    hardware: dict[str, Run] = {}
    with progress_bar(f"floating point, {what}") as progress:
        for number, behaviour in enumerate(BEHAVIOURS):
            exact[behaviour.letter] = simulate(behaviour, robust)
            progress(number + 1, len(BEHAVIOURS))
    cases = make_cases(robust, widths)
    with progress_bar(f"golden model, {what}") as progress:
        for number, case in enumerate(cases):
            with spikeloom.open("golden", case.image) as chip:
                golden |= case.runs(chip)
            progress(number + 1, len(cases))
    figures = []
    for case in cases if rtl else []:
        runs, of_core = measure(case, f"{what}, tick of {case.dt:g} ms")
        hardware |= runs
        figures.append(of_core)
    return [Result(b, exact[b.letter], golden[b.letter], hardware.get(b.letter)) for b in BEHAVIOURS], figures


def totals(results: list[Result], figures: list[CoreFigures]) -> dict[str, Any]:
    """Figures of all results, and of each."""
    rows = [result.comparison for result in results]
    hardware = bool(figures)
    worst = max(rows, key=lambda row: row.max_shift)
    table = {
        result.behaviour.letter: {
            "name": row.name,
            "float_spikes": row.float_spikes,
            "golden_spikes": row.golden_spikes,
            "max_shift_ms": round(row.max_shift, 6),
            "float_passed": row.float_passed,
            "golden_passed": row.golden_passed,
        }
        | (
            {"rtl_spikes": len(result.rtl.spikes), "rtl_passed": result.rtl_passed, "rtl_equal": result.rtl_equal}
            if result.rtl is not None
            else {}
        )
        for result, row in zip(results, rows, strict=True)
    }
    return {
        "passed": {
            "float": sum(row.float_passed for row in rows),
            "golden": sum(row.golden_passed for row in rows),
            **({"rtl": sum(result.rtl_passed for result in results)} if hardware else {}),
        },
        "float_spikes": sum(row.float_spikes for row in rows),
        "count_error": sum(abs(row.float_spikes - row.golden_spikes) for row in rows),
        "count_error_of": "".join(row.letter for row in rows if row.float_spikes != row.golden_spikes),
        "worst_shift_ms": round(worst.max_shift, 6),
        "worst_shift_of": worst.letter,
        **({"rtl_equal": equal(results, figures), "cores": [core.as_dict() for core in figures]} if hardware else {}),
        "behaviours": table,
    }


def equal(results: list[Result], figures: list[CoreFigures]) -> bool:
    """Whether the hardware was equal to the golden model everywhere."""
    return all(result.rtl_equal for result in results) and not any(core.mismatch for core in figures)


def print_results(title: str, results: list[Result]) -> None:
    """One line for each behaviour."""
    rows = []
    for result in results:
        row = result.comparison
        verdict = ["passes" if passed else "FAILS" for passed in (row.float_passed, row.golden_passed)]
        hardware = ["-", "-"]
        if result.rtl is not None:
            hardware = [str(len(result.rtl.spikes)), "equal" if result.rtl_equal else "DIFFERS"]
        rows.append(
            (
                f"{row.letter} {row.name}",
                row.float_spikes,
                row.golden_spikes,
                hardware[0],
                f"{row.max_shift:g}",
                *verdict,
                hardware[1],
            )
        )
    columns = ("behaviour", "float spikes", "golden", "hardware", "max shift ms", "float check", "golden check", "hardware state")
    print_table(title, columns, rows)
