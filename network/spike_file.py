"""Spike files: ``.npz`` with ``spikes`` or ``intensities``, or NIR data files. Described in ``docs/spike_file.md``."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import numpy.typing as npt

from spikeloom.arch.errors import InputError
from spikeloom.network.image import write_whole

#: No spike file comes near this size; it keeps a wrong file from being read into memory.
MAX_BYTES = 1 << 33
#: Part of a tick by which a time may lie before the tick that it is meant for, because multiples of a tick are rounded.
ROUNDING = 1e-6
#: First bytes of a zip file with or without members, and of a file with a single array.
_STARTS = (b"PK\x03\x04", b"PK\x05\x06", b"\x93NUMPY")
_START_BYTES = 6


def read_spikes(path: str | Path, dt_ms: float | None = None) -> npt.NDArray[Any]:
    """Array ``spikes`` of a file, as it stands there; a chip checks its shape and values.

    Parameters
    ----------
    path : str or Path
        ``.npz`` with an array ``spikes`` of shape ``[ticks, n]`` or ``[samples, ticks, n]``; any other file is read as NIR data. Of NIR data
        with several nodes, all ``spikes`` are put side by side in the order of the nodes' names.
    dt_ms : float or None
        Length of a tick, to place the events of NIR data without a grid.

    Raises
    ------
    InputError
        If the file cannot be read or holds no spikes.
    """
    name, array = read_input(path, dt_ms)
    if name != "spikes":
        raise InputError(f"{path} has no array 'spikes', but {name!r}")
    return array


def read_input(path: str | Path, dt_ms: float | None = None) -> tuple[str, npt.NDArray[Any]]:
    """What a file holds for a chip, as it stands there: ``"spikes"`` or ``"intensities"``, and the array.

    Parameters
    ----------
    path, dt_ms
        As for :func:`read_spikes`; or ``.npz`` with an array ``intensities`` of shape ``[n]`` or ``[samples, n]``.

    Raises
    ------
    InputError
        If the file cannot be read, or holds neither or both.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist or is not a file")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} has {path.stat().st_size} bytes; a spike file has at most {MAX_BYTES}")
    if h5py.is_hdf5(path):
        return "spikes", _read_nir_data(path, dt_ms)
    try:
        with path.open("rb") as file:
            if not file.read(_START_BYTES).startswith(_STARTS):
                raise InputError(
                    f"{path} is damaged, or neither .npz nor NIR data; save spikes with numpy.savez(path, spikes=array)"
                )
            file.seek(0)
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise InputError(f"{path} is a single array; save it with numpy.savez(path, spikes=array)")
            found = [name for name in ("spikes", "intensities") if name in archive.files]
            if not found:
                raise InputError(f"{path} has no array 'spikes'; it holds {archive.files}")
            if len(found) > 1:
                raise InputError(f"{path} holds both 'spikes' and 'intensities'; keep one of them")
            return found[0], np.asarray(archive[found[0]])
    except InputError:
        raise
    except Exception as error:  # zip files and arrays can be damaged in many ways, and each reader fails in its own
        raise InputError(f"{path} is damaged or not a spike file (.npz or NIR data): {error}") from error


def _read_nir_data(path: Path, dt_ms: float | None) -> npt.NDArray[Any]:
    try:
        return _spikes_of(path, nir.read_data(str(path)), dt_ms)
    except InputError:
        raise
    except Exception as error:  # the file may hold anything
        raise InputError(f"{path} is an HDF5 file, but cannot be read as NIR data: {error}") from error


def _spikes_of(path: Path, data: nir.NIRGraphData, dt_ms: float | None) -> npt.NDArray[Any]:
    grids = []
    for name in sorted(data.nodes):
        node = data.nodes[name]
        observables = getattr(node, "observables", {})
        spikes = observables.get("spikes", next(iter(observables.values())) if len(observables) == 1 else None)
        if spikes is None:
            raise InputError(f"{path}: node {name!r} has {sorted(observables)}, but no 'spikes'")
        if not isinstance(spikes, nir.TimeGriddedData):
            if dt_ms is None:
                raise InputError(f"{path}: node {name!r} has events in seconds, and the image does not say how long a tick is")
            grids.append(_gridded(path, name, spikes, dt_ms / 1000))
        else:
            grids.append(np.asarray(spikes.data))
    if not grids:
        raise InputError(f"{path} holds no nodes")
    if len({grid.shape[:2] for grid in grids}) > 1:
        raise InputError(f"{path}: its nodes differ in samples or ticks: {[list(grid.shape) for grid in grids]}")
    return np.concatenate(grids, axis=2)


def _gridded(path: Path, name: str, events: nir.EventData, dt: float) -> npt.NDArray[Any]:
    """Events ``[samples, events]`` on the grid of ticks. A time is a multiple of ``dt`` but for rounding, or lies within its tick."""
    samples = len(events.idx)
    ticks = np.ceil(events.t_max / dt - ROUNDING)
    if not 0 <= ticks * samples * events.n_neurons <= MAX_BYTES:
        raise InputError(f"{path}: node {name!r} lasts {events.t_max} s, that is {ticks:g} ticks of {dt:g} s; that is too long")
    is_valued = isinstance(events, nir.ValuedEventData)
    grid = np.zeros((samples, int(ticks), events.n_neurons), np.float64 if is_valued else np.bool_)
    sample, position = np.nonzero(events.idx != -1)
    neurons, times = events.idx[sample, position], events.time[sample, position]
    steps = np.floor(times / dt + ROUNDING)
    wrong = ~((steps >= 0) & (steps < ticks) & (neurons >= 0) & (neurons < events.n_neurons))
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"{path}: node {name!r} has an event of neuron {neurons[first]} at {times[first]:g} s; "
            f"it has {events.n_neurons} neurons and lasts {events.t_max:g} s"
        )
    grid[sample, steps.astype(np.int64), neurons] = events.value[sample, position] if is_valued else True
    return grid


def write_output(path: str | Path, **arrays: npt.NDArray[Any]) -> None:
    """Write an ``.npz`` file with named arrays; an existing file is replaced at once or not at all.

    Raises
    ------
    SpikeloomError
        If the file cannot be written.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_whole(Path(path), buffer.getvalue())
