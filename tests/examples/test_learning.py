"""Experiments on learning: their criteria on the golden model, that these can fail, and short parts equal to hardware."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spikeloom.examples.learning import association, coincidence, common, localisation, pattern, sequence, xor
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


# Hardware -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_short_part_equals_hardware(name: str) -> None:
    """Outputs, weights, tags, traces and potentials. All but pattern and xor share one compiled model."""
    assert EXPERIMENTS[name].mismatch() is None


@pytest.mark.parametrize("name", ["coincidence", "localisation", "sequence", "association", "pattern"])
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
