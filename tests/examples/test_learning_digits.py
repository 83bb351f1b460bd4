"""Digits without a teacher, bounded: three patterns instead of MNIST, and the hardware in lockstep on a few images."""

from __future__ import annotations

import numpy as np
import pytest

from spikeloom.arch.errors import InputError
from spikeloom.examples.learning import digits
from spikeloom.golden.fast import FastChip
from spikeloom.hdl.fabric import GENERIC
from spikeloom.host.bus_chip import BusChip
from spikeloom.host.golden_chip import GoldenChip
from spikeloom.sim.rtl_bus import RtlBus


def patterns(count, seed):
    """Noisy bars: upper rows, lower rows, or middle columns bright."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    base = np.zeros((3, 28, 28))
    base[0, 3:10], base[1, 18:25], base[2, :, 11:17] = 255, 255, 255
    images = np.where(rng.random((count, 28, 28)) < 0.7, base[labels], 0) * rng.uniform(0.6, 1, (count, 1, 1))
    return images.reshape(count, -1).astype(np.uint8), labels.astype(np.uint8)


def test_neurons_divide_what_they_see_among_them():
    results = digits.learn(patterns(800, 1), patterns(200, 2), 12, 800)
    assert [result.images for result in results] == [100, 200, 400, 800]
    last = results[-1]
    assert last.accuracy > 0.97
    assert last.silent < 0.02
    assert set(last.classes) == {0, 1, 2}
    # All thresholds have risen, since each spike raises one.
    assert (last.learnt.thresholds > digits.THRESHOLD).all()
    assert results[0].learnt.thresholds.sum() < last.learnt.thresholds.sum()


def test_hardware_learns_the_same():
    """Weights, traces, thresholds, potentials and spikes after three images."""
    image = digits.make_image(digits.beginning(12), learning=True)
    ticks, axons = digits.events(patterns(3, 3)[0], np.random.default_rng(4))
    spikes = np.zeros((3 * (digits.TICKS + digits.PAUSE), image.input_size), np.bool_)
    spikes[ticks, axons] = True
    golden, fast = GoldenChip(image), FastChip(image.config, image.memories)
    expected = golden.run(spikes)
    assert expected.any()
    fast.run(len(spikes), (ticks, 0 * ticks, axons))
    np.testing.assert_array_equal(fast.learning_state(0)["weights"], golden.state()["core0.weights"])
    assert (digits.read(fast).weights != digits.beginning(12).weights).sum() > 100
    with BusChip(RtlBus(image.config, GENERIC), image, check=False) as hardware:
        np.testing.assert_array_equal(hardware.run(spikes), expected)
        for name, values in golden.state().items():
            np.testing.assert_array_equal(values, hardware.state()[name], err_msg=name)


@pytest.mark.parametrize(
    ("neurons", "images", "message"),
    [(505, 1, "505 neurons; the routing memory of a core suffices for 1 to 504"), (0, 1, "0 neurons"), (5, 0, "0 images; the network must see 1")],
)  # fmt: skip
def test_senseless_numbers_are_refused(neurons, images, message):
    with pytest.raises(InputError, match=message):
        digits.learn(patterns(4, 1), patterns(4, 2), neurons, images)


def test_without_data_the_command_says_where_to_find_it(tmp_path):
    with pytest.raises(InputError, match=r"MNIST|mnist"):
        digits.main(["--data", str(tmp_path)])


def test_a_picture_of_the_fields_is_drawn(tmp_path):
    digits.draw(digits.beginning(6), np.array([3, 1, 2, 2, 0, 9]), tmp_path / "digits.png")
    assert (tmp_path / "digits.png").stat().st_size > 1000
