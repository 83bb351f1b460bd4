"""Spike files: ``.npz`` with ``spikes``, or NIR data files. Described in ``docs/spike_files.md``."""

from __future__ import annotations

import io
import zipfile
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
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist or is not a file")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} has {path.stat().st_size} bytes; a spike file has at most {MAX_BYTES}")
    if h5py.is_hdf5(path):
        return _read_nir_data(path, dt_ms)
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise InputError(f"{path} is a single array; save it with numpy.savez(path, spikes=array)")
            if "spikes" not in archive.files:
                raise InputError(f"{path} has no array 'spikes'; it holds {archive.files}")
            return np.asarray(archive["spikes"])
    except InputError:
        raise
    except (ValueError, OSError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is damaged or not a spike file (.npz or NIR data): {error}") from error


def _read_nir_data(path: Path, dt_ms: float | None) -> npt.NDArray[Any]:
    try:
        data = nir.read_data(str(path))
    except Exception as error:  # the file may hold anything
        raise InputError(f"{path} is an HDF5 file, but cannot be read as NIR data: {error}") from error
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
            spikes = spikes.to_time_gridded(dt_ms / 1000)
        grids.append(np.asarray(spikes.data))
    if not grids:
        raise InputError(f"{path} holds no nodes")
    if len({grid.shape[:2] for grid in grids}) > 1:
        raise InputError(f"{path}: its nodes differ in samples or ticks: {[list(grid.shape) for grid in grids]}")
    return np.concatenate(grids, axis=2)


def write_spikes(path: str | Path, spikes: npt.NDArray[np.bool_]) -> None:
    """Write an ``.npz`` file with the array ``spikes``; an existing file is replaced at once or not at all.

    Raises
    ------
    SpikeloomError
        If the file cannot be written.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, spikes=spikes)
    write_whole(Path(path), buffer.getvalue())
