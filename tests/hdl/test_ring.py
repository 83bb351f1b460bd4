"""No two neurons meet in a ring."""

from __future__ import annotations

import pytest

from spikeloom.hdl.ring import ring_length


@pytest.mark.parametrize(
    ("stages", "rounds", "interval", "used", "length"),
    [
        (9, 1, 1, (0,), 9),
        (9, 4, 4, (0,), 9),
        (12, 4, 4, (0,), 13),
        (18, 2, 2, (0,), 19),
        (9, 4, 12, (0, 2, 4), 9),
        (8, 4, 12, (0, 2, 4), 9),
    ],
)
def test_length_of_a_ring(stages: int, rounds: int, interval: int, used: tuple[int, ...], length: int) -> None:
    assert ring_length(stages, rounds, interval, used) == length


@pytest.mark.parametrize("rounds", range(1, 17))
@pytest.mark.parametrize("stages", [7, 9, 12])
def test_neurons_never_meet(stages: int, rounds: int) -> None:
    length = ring_length(stages, rounds, rounds)
    # Neurons that enter in every cycle that they may.
    cycles = [start + turn * length for start in range(0, 40 * rounds, rounds) for turn in range(rounds)]
    assert len(set(cycles)) == len(cycles)
    assert stages <= length <= 2 * stages


@pytest.mark.parametrize(
    ("rounds", "interval", "used"),
    [
        # Less than a cycle for each round.
        (4, 3, (0,)),
        # The shared stages 0 and 3 are the same modulo 3.
        (4, 12, (0, 3, 8)),
    ],
)
def test_a_ring_that_cannot_be_is_refused(rounds: int, interval: int, used: tuple[int, ...]) -> None:
    with pytest.raises(AssertionError, match=f"no ring for 9 stages, {rounds} rounds, a neuron every {interval} cycles"):
        ring_length(9, rounds, interval, used)
