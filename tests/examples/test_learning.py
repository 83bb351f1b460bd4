"""Experiments on learning: their criteria on the golden model, that these can fail, and short parts equal to hardware."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spikeloom.examples.learning import association, coincidence, common, localisation, pattern, sequence, short_term, teacher, xor
from spikeloom.examples.learning.__main__ import main
from spikeloom.examples.learning.experiments import EXPERIMENTS

# Golden model ---------------------------------------------------------------------------------------------------------


def test_coincidence() -> None:
    run = coincidence.run(1)
    assert run.passed, run.measured
    assert not coincidence.CoincidenceRun(weights=np.repeat(run.weights[:1], coincidence.EPOCHS + 1, axis=0)).passed
    # The weights of the first half are wrong in the second.
    assert not coincidence.CoincidenceRun(weights=np.concatenate([run.weights[:31], run.weights[1:31]])).passed


def test_groups_fire_together_and_all_inputs_once_in_a_frame() -> None:
    spikes = coincidence.stimulus(3).reshape(2, -1, coincidence.FRAME_TICKS, coincidence.INPUTS)
    assert (spikes.sum(axis=2) == 1).all()
    ticks = spikes.argmax(axis=2)
    for half, (first, last) in enumerate(coincidence.GROUPS):
        together = [bool((np.ptp(ticks[half][:, n : n + 2], axis=1) == 0).all()) for n in range(coincidence.INPUTS - 1)]
        assert np.flatnonzero(together).tolist() == list(range(first, last))


def test_localisation() -> None:
    run = localisation.run(2)
    assert run.passed, run.measured
    assert not dataclasses.replace(run, potentials=run.potentials[..., ::-1]).passed
    assert not dataclasses.replace(run, potentials=np.zeros_like(run.potentials)).passed


def test_ears_are_up_to_656_microseconds_apart() -> None:
    ticks = [localisation.ticks_between(azimuth) for azimuth in localisation.AZIMUTHS.tolist()]
    assert (ticks[0], ticks[9], ticks[-1]) == (-66, 0, 66)
    assert (np.diff(ticks) > 0).all()


def test_sequence() -> None:
    run = sequence.run(2)
    assert len(sequence.sequences()) == len(run.fired) == 43680
    assert run.passed, run.measured
    assert np.diff(run.weights[-1, list(run.target)]).min() > 0
    assert not dataclasses.replace(run, fired=np.ones_like(run.fired)).passed
    assert not dataclasses.replace(run, fired=np.zeros_like(run.fired)).passed


def test_pattern_shortened() -> None:
    run = pattern.run(0, seconds=20)
    early = run.slots[: len(run.present) // 20].any(axis=1)
    assert run.hits >= 0.95, run.measured
    # At first it fires as often without the pattern.
    assert early[~run.present[: len(early)]].mean() > 0.5
    assert run.weights[-1].max() == common.HIGHEST
    assert not pattern.PatternRun(fired=np.ones_like(run.fired), present=run.present, weights=run.weights).passed
    assert not pattern.PatternRun(fired=np.zeros_like(run.fired), present=run.present, weights=run.weights).passed


def test_pattern_stimulus() -> None:
    spikes, present = pattern.stimulus(0, 60 * pattern.SECOND)
    assert spikes.mean() == pytest.approx(pattern.RATE, rel=0.05)
    assert present.mean() == pytest.approx(pattern.SHARE, abs=0.03)
    assert not (present[1:] & present[:-1]).any()
    slots = spikes.reshape(-1, pattern.SLOT, pattern.AFFERENTS)
    inside, outside = slots[present][..., : pattern.IN_PATTERN], slots[present][..., pattern.IN_PATTERN :]
    # A spike that repeats comes in the same tick or the next to it.
    assert inside.mean(axis=0).max() > 0.5
    assert outside.mean(axis=0).max() < 0.2


def test_association() -> None:
    run = association.run(3)
    assert run.passed, run.measured
    for phase in ("bell before", "food", "bell after", "extinction"):
        wrong = run.answered.copy()
        first, last = association.trials_of(phase)
        wrong[first:last] = ~wrong[first:last]
        assert not dataclasses.replace(run, answered=wrong).passed, phase


def test_xor() -> None:
    run = xor.run()
    assert run.passed, run.measured
    assert not dataclasses.replace(run, answers=((15, 16), *run.answers[1:])).passed
    assert not dataclasses.replace(run, answers=((), *run.answers[1:])).passed


def test_teacher() -> None:
    run = teacher.run(0)
    assert run.passed, run.measured
    wanted = teacher.pattern(0)[1]
    assert np.diff(wanted).min() >= teacher.DISTANCE
    assert wanted.min() >= teacher.FIRST
    assert wanted.max() < teacher.LAST
    # Too early, a spike too few or too many, and a neuron that did so from the beginning.
    for wrong in (wanted - teacher.TOLERANCE - 1, wanted[:-1], np.append(wanted, teacher.LAST + 5)):
        assert not dataclasses.replace(run, answers=(*run.answers[:-3], wrong, wrong, wrong)).passed
    assert not dataclasses.replace(run, answers=(wanted, *run.answers[1:])).passed


def test_without_a_teacher_nothing_is_learnt(monkeypatch) -> None:
    monkeypatch.setattr(teacher, "taught", lambda seed: teacher.pattern(seed)[0])
    assert teacher.run(0).score == 0


def test_short_term() -> None:
    run = short_term.run()
    assert run.passed, run.measured
    plain = tuple(np.ones_like(amplitudes) for amplitudes in run.amplitudes)
    assert not dataclasses.replace(run, amplitudes=plain).passed
    assert dataclasses.replace(run, amplitudes=plain).slope == pytest.approx(0)
    # Each kind in the place of another, and one wrong amplitude anywhere.
    trains, pairs = len(short_term.SYNAPSES) * len(short_term.INTERVALS), len(short_term.SYNAPSES) * len(short_term.DISTANCES)
    swapped = (*run.amplitudes[trains // 3 : trains], *run.amplitudes[: trains // 3], *run.amplitudes[trains:])
    assert not dataclasses.replace(run, amplitudes=swapped).passed
    for axon in (0, trains - 1, trains + pairs - 1, -1):
        wrong = [amplitudes.copy() for amplitudes in run.amplitudes]
        wrong[axon][1] += 0.01
        assert not dataclasses.replace(run, amplitudes=tuple(wrong)).passed, axon


def test_short_term_fails_without_its_signatures(monkeypatch) -> None:
    """Amplitudes that follow the equations of other synapses: exact, but none of them facilitates."""
    monkeypatch.setattr(
        short_term, "SYNAPSES", dict.fromkeys(short_term.SYNAPSES, short_term.Synapse(use=0.9, facilitation=1, depression=100))
    )
    monkeypatch.setattr(short_term, "LASTING", short_term.Synapse(use=0.1, facilitation=100, depression=30))
    exact = tuple(short_term.ideal(kind, ticks) for kind, ticks in short_term.protocols())
    run = short_term.ShortTermRun(amplitudes=exact, potentials=np.zeros((short_term.SHOWN_TICKS, 3), np.int64))
    assert run.error == 0
    assert run.steady_error < 1e-6
    assert run.peak is None
    assert run.ratios("facilitating").max() < 1
    assert run.potentiation < 10
    assert not run.passed


def test_depression_in_floating_point_is_that_of_the_paper() -> None:
    """The recursion of Tsodyks and Markram 1997, whose share that an event uses is U (2 - U) here."""
    kind = short_term.SYNAPSES["depressing"]
    share = kind.use * (2 - kind.use)
    for interval in (10, 100, 1000):
        falls = np.exp(-interval / kind.depression)
        expected = [share]
        for _ in range(9):
            expected.append(expected[-1] * (1 - share) * falls + share * (1 - falls))
        np.testing.assert_allclose(short_term.ideal(kind, range(0, 10 * interval, interval)), expected)
    for kind in short_term.SYNAPSES.values():
        assert short_term.ideal(kind, range(0, 9000, 30))[-1] == pytest.approx(short_term.stationary(kind, 30))


# Hardware -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_short_part_equals_hardware(name: str) -> None:
    """Outputs and state. All but pattern, xor, teacher and short_term share one compiled model."""
    assert EXPERIMENTS[name].mismatch() is None


@pytest.mark.parametrize("name", ["coincidence", "localisation", "sequence", "association", "pattern", "teacher"])
def test_short_part_teaches_something(name: str) -> None:
    """Otherwise equality would say little."""
    image, spikes, *rewards = EXPERIMENTS[name].check()
    with common.golden(image) as chip:
        before = chip.state()["core0.weights"].copy()
        for number, sample in enumerate(spikes if spikes.ndim == 3 else spikes[np.newaxis]):
            if rewards:
                chip.modulate(reward=float(rewards[0][number]))
            chip.run(sample)
        assert (chip.state()["core0.weights"] != before).sum() >= 3


def test_short_part_of_short_term_uses_the_synapses_up() -> None:
    """Some events fire their neurons and others do not, and axons are away from rest at the end."""
    image, spikes = short_term.check()
    with common.golden(image) as chip:
        fired = chip.run(spikes)
        assert 0.2 < fired.sum() / spikes.sum() < 0.8
        for name in ("facilitation", "depression"):
            assert (chip.state()[f"core0.{name}"] > 1000).sum() >= 10


def test_small_experiments_share_a_geometry() -> None:
    small = [coincidence, localisation, sequence, association]
    assert len({module.make_image(0).config for module in small}) == 1


def test_difference_is_found(monkeypatch) -> None:
    monkeypatch.setattr(common, "hardware", lambda image: common.golden(coincidence.make_image(1)))
    assert common.difference(*coincidence.check()) is not None


# Command --------------------------------------------------------------------------------------------------------------


def test_command(tmp_path, capsys) -> None:
    assert main(["xor", "--seeds", "1", "-o", str(tmp_path)]) == 0
    assert "4 of 4" in capsys.readouterr().out
    for name in ("xor", "learning"):
        assert (tmp_path / f"{name}.png").read_bytes()[:4] == b"\x89PNG"


def test_command_fails_if_a_criterion_does(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(xor.XorRun, "passed", False)
    assert main(["xor", "-o", str(tmp_path)]) == 1


@pytest.mark.parametrize(("arguments", "word"), [(["dance"], "no experiment 'dance'"), (["--seeds", "0"], "--seeds")])
def test_command_refuses(arguments, word, capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert word in capsys.readouterr().err
