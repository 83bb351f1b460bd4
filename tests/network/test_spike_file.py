"""Spike files."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest

from spikeloom.arch.errors import InputError, SpikeloomError
from spikeloom.network.spike_file import read_input, read_spikes, write_output

SPIKES = np.random.default_rng(1).random((2, 5, 3)) < 0.5


def node(**observables):
    return nir.NIRNodeData(observables)


def test_written_spikes_are_read_back(tmp_path):
    write_output(tmp_path / "s.npz", spikes=SPIKES)
    np.testing.assert_array_equal(read_spikes(tmp_path / "s.npz"), SPIKES)


def test_nir_data_on_a_grid_is_read(tmp_path):
    nir.write_data(str(tmp_path / "s.h5"), nir.NIRGraphData({"input": node(spikes=nir.TimeGriddedData(SPIKES, 1e-3))}))
    np.testing.assert_array_equal(read_spikes(tmp_path / "s.h5"), SPIKES)


@pytest.mark.parametrize("dt_ms", [0.1, 0.7, 1.0])
def test_nir_events_fall_into_their_ticks(tmp_path, dt_ms):
    grid = nir.TimeGriddedData(SPIKES, dt_ms / 1000)
    nir.write_data(str(tmp_path / "s.h5"), nir.NIRGraphData({"input": node(spikes=grid.to_event(20))}))
    np.testing.assert_array_equal(read_spikes(tmp_path / "s.h5", dt_ms), SPIKES)


def test_several_nodes_stand_side_by_side_in_the_order_of_their_names(tmp_path):
    data = {name: node(spikes=nir.TimeGriddedData(SPIKES ^ (name == "b"), 1e-3)) for name in ("b", "a")}
    nir.write_data(str(tmp_path / "s.h5"), nir.NIRGraphData(data))
    np.testing.assert_array_equal(read_spikes(tmp_path / "s.h5"), np.concatenate([SPIKES, ~SPIKES], axis=2))


def test_events_without_a_known_tick_are_refused(tmp_path):
    nir.write_data(str(tmp_path / "s.h5"), nir.NIRGraphData({"in": node(spikes=nir.TimeGriddedData(SPIKES, 1e-3).to_event(20))}))
    with pytest.raises(InputError, match="node 'in' has events in seconds, and the image does not say how long a tick is"):
        read_spikes(tmp_path / "s.h5")


def test_an_event_of_a_neuron_that_does_not_exist_is_refused(tmp_path):
    events = nir.EventData(np.array([[3]]), np.array([[0.001]]), 3, 0.005)
    nir.write_data(str(tmp_path / "s.h5"), nir.NIRGraphData({"in": node(spikes=events)}))
    with pytest.raises(InputError, match=r"event of neuron 3 at 0\.001 s; it has 3 neurons"):
        read_spikes(tmp_path / "s.h5", 1.0)


def test_nodes_of_different_length_are_refused(tmp_path):
    data = {name: node(spikes=nir.TimeGriddedData(SPIKES[:, :n], 1e-3)) for name, n in (("a", 5), ("b", 4))}
    nir.write_data(str(tmp_path / "s.h5"), nir.NIRGraphData(data))
    with pytest.raises(InputError, match="its nodes differ in samples or ticks"):
        read_spikes(tmp_path / "s.h5")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is damaged, or neither .npz nor NIR data"),
        (b"spikes\n0 1 1\n", "neither .npz nor NIR data; save spikes with numpy.savez"),
        (b"PK\x03\x04 not an archive", "is damaged or not a spike file"),
    ],
)
def test_other_files_are_refused_with_what_to_do(tmp_path, content, message):
    (tmp_path / "s.npz").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_spikes(tmp_path / "s.npz")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.npz does not exist or is not a file"):
        read_spikes(tmp_path / "nothing.npz")


def test_an_archive_without_spikes_lists_what_it_holds(tmp_path):
    np.savez(tmp_path / "s.npz", trains=SPIKES)
    with pytest.raises(InputError, match=r"has no array 'spikes'; it holds \['trains'\]"):
        read_spikes(tmp_path / "s.npz")


def test_a_single_array_is_refused(tmp_path):
    np.save(tmp_path / "s.npy", SPIKES)
    with pytest.raises(InputError, match=r"is a single array; save it with numpy.savez"):
        read_spikes(tmp_path / "s.npy")


def test_pickles_are_never_loaded(tmp_path):
    np.savez(tmp_path / "s.npz", spikes=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="damaged or not a spike file"):
        read_spikes(tmp_path / "s.npz")


def test_every_cut_file_is_refused(tmp_path):
    write_output(tmp_path / "s.npz", spikes=SPIKES)
    whole = (tmp_path / "s.npz").read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / "cut.npz").write_bytes(whole[:length])
        with pytest.raises(InputError):
            read_spikes(tmp_path / "cut.npz")


def test_a_folder_that_does_not_exist_leaves_nothing(tmp_path):
    with pytest.raises(SpikeloomError, match="cannot be written"):
        write_output(tmp_path / "no" / "s.npz", spikes=SPIKES)
    assert list(tmp_path.iterdir()) == []


def test_intensities_are_read_as_such(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.savez(tmp_path / "i.npz", intensities=values)
    name, array = read_input(tmp_path / "i.npz")
    assert name == "intensities"
    assert np.array_equal(array, values)
    with pytest.raises(InputError, match="has no array 'spikes', but 'intensities'"):
        read_spikes(tmp_path / "i.npz")


def test_a_file_with_both_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "i.npz", intensities=np.zeros(3, np.uint8), spikes=SPIKES)
    with pytest.raises(InputError, match="holds both 'spikes' and 'intensities'; keep one of them"):
        read_input(tmp_path / "i.npz")
