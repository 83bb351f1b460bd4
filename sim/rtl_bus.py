"""Bus to a chip whose generated Verilog runs in a compiled simulator."""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np

from spikeloom.arch.boards import board_geometry
from spikeloom.arch.config import ChipConfig
from spikeloom.arch.errors import LinkError
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.layout import IntArray
from spikeloom.arch.registers import Status
from spikeloom.hdl.chip import Chip
from spikeloom.hdl.fabric import FABRICS, GENERIC, Fabric
from spikeloom.hdl.verilog import to_verilog
from spikeloom.host.bus import Bus, WordsArray
from spikeloom.host.bus_chip import BusChip
from spikeloom.host.tiled_bus import TiledBus
from spikeloom.sim.compiled import compile_model, load_library
from spikeloom.sim.tiled import TiledChips

_WORDS = ctypes.POINTER(ctypes.c_uint32)
#: What ``sim_tick`` returns besides 0.
_TICK_ERRORS = {-1: "the simulated chip hangs", -2: "more outputs than expected", -3: "a request was refused"}


class RtlBus(Bus):
    """Requests go straight to the chip's ports, without a link between.

    Parameters
    ----------
    config : ChipConfig
        Geometry.
    fabric : Fabric
        Target whose memories are built in.

    Attributes
    ----------
    tick_cycles : list of int
        Clock cycles of each tick since the bus was opened, from the request to the end of the tick.
    """

    def __init__(self, config: ChipConfig, fabric: Fabric = GENERIC) -> None:
        self._start(_load_chip(config, fabric), config)

    def _start(self, library: ctypes.CDLL, config: ChipConfig) -> None:
        """Begin with the chip of a compiled model."""
        self._library = library
        self._handle: ctypes.c_void_p | None = ctypes.c_void_p(library.sim_new())
        # Each routing entry can make one output per neuron that uses it and tick; one more shows that there were too many.
        self._outputs = np.zeros(sum(core.neurons * core.routes for core in config.cores) + 1, np.uint32)
        self.tick_cycles: list[int] = []

    @property
    def cycles(self) -> int:
        """Clock cycles since reset."""
        return int(self._library.sim_cycles(self._handle))

    def stall(self, seed: int, percent: int) -> None:
        """From now on pause at random between and within requests, in ``percent`` of all cycles."""
        self._library.sim_stall(self._handle, seed, percent)

    def _access(self, address: int, words: WordsArray, *, write: bool, same: bool) -> None:
        _access(self._library, self._handle, address, words, write=write, same=same)

    def read(self, address: int, count: int, *, same: bool = False) -> WordsArray:
        """See :meth:`Bus.read`."""
        words = np.zeros(count, np.uint32)
        self._access(address, words, write=False, same=same)
        return words

    def write(self, address: int, words: WordsArray, *, same: bool = False) -> None:
        """See :meth:`Bus.write`."""
        self._access(address, np.array(words, np.uint32), write=True, same=same)

    def tick(self, events: WordsArray, count: int = 1) -> IntArray:
        """See :meth:`Bus.tick`. ``tick_cycles`` grows only with single ticks."""
        if count != 1:
            return super().tick(events, count)
        events = np.ascontiguousarray(events)
        came, cycles = ctypes.c_int64(), ctypes.c_uint64()
        error = self._library.sim_tick(
            self._handle, events.ctypes.data_as(_WORDS), len(events), self._outputs.ctypes.data_as(_WORDS), len(self._outputs),
            ctypes.byref(came), ctypes.byref(cycles),
        )  # fmt: skip
        if error:
            raise LinkError(_TICK_ERRORS[error])
        self.tick_cycles.append(cycles.value)
        words = self._outputs[: came.value].astype(np.int64)
        return np.stack([words >> 16, words & 0xFFFF], axis=1)

    def close(self) -> None:
        """Free the simulator."""
        if self._handle is not None:
            self._library.sim_free(self._handle)
            self._handle = None


class TileBus(Bus):
    """One of the chips in an :class:`RtlTiledBus`."""

    def __init__(self, library: ctypes.CDLL, handle: ctypes.c_void_p, number: int) -> None:
        self._library, self._handle, self._number = library, handle, number

    def read(self, address: int, count: int, *, same: bool = False) -> WordsArray:
        """See :meth:`Bus.read`."""
        words = np.zeros(count, np.uint32)
        self._library.sim_select(self._handle, self._number)
        _access(self._library, self._handle, address, words, write=False, same=same)
        return words

    def write(self, address: int, words: WordsArray, *, same: bool = False) -> None:
        """See :meth:`Bus.write`."""
        self._library.sim_select(self._handle, self._number)
        _access(self._library, self._handle, address, np.array(words, np.uint32), write=True, same=same)


class RtlTiledBus(TiledBus):
    """Several chips that share a mesh, with the wires between them, in one simulation.

    Parameters
    ----------
    config : ChipConfig
        The whole mesh.
    fabric : Fabric
        Target whose memories are built in.
    """

    def __init__(self, config: ChipConfig, fabric: Fabric = GENERIC) -> None:
        self._library = _load_tiles(config, fabric)
        self._handle: ctypes.c_void_p | None = ctypes.c_void_p(self._library.sim_new())
        count = config.chips_across * config.chips_down
        super().__init__(config, [TileBus(self._library, self._handle, number) for number in range(count)])

    @property
    def cycles(self) -> int:
        """Clock cycles since reset."""
        return int(self._library.sim_cycles(self._handle))

    def stall(self, seed: int, percent: int) -> None:
        """See :meth:`RtlBus.stall`."""
        self._library.sim_stall(self._handle, seed, percent)

    def noise(self, flip_ppm: int, cut_ppm: int) -> None:
        """From now on disturb the wires between the chips, at random (:meth:`stall` sets the seed).

        Parameters
        ----------
        flip_ppm : int
            Chance that a wire has the wrong level in a cycle, in parts per million.
        cut_ppm : int
            Chance per cycle that all wires carry noise for up to 2,000 cycles.
        """
        self._library.sim_noise(self._handle, flip_ppm, cut_ppm)

    def wait(self, cycles: int) -> None:
        """Let the clock run."""
        self._library.sim_wait(self._handle, cycles)

    def close(self) -> None:
        """Free the simulator."""
        if self._handle is not None:
            self._library.sim_free(self._handle)
            self._handle = None


# Generating the Verilog, which names the compiled model, takes seconds; a process does it once for each geometry.
@cache
def _load_chip(config: ChipConfig, fabric: Fabric) -> ctypes.CDLL:
    """Compile a chip and declare the functions of the model."""
    verilog = to_verilog(Chip(config=config, fabric=fabric), "chip")
    return declare(load_library(compile_model(verilog, "chip", is_top=False)))


@cache
def _load_tiles(config: ChipConfig, fabric: Fabric) -> ctypes.CDLL:
    """Compile several chips and declare the functions of the model."""
    top = TiledChips(config=config, fabric=fabric)
    path = compile_model(to_verilog(top, "tiles"), "tiles", is_top=False, wires=top.noise_bits)
    library = declare(load_library(path))
    library.sim_select.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    library.sim_noise.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32]
    library.sim_wait.argtypes = [ctypes.c_void_p, ctypes.c_uint64]
    return library


def declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """The same model, with the functions declared that it has for chips without a serial line."""
    library.sim_access.restype = ctypes.c_int64
    library.sim_access.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_int, _WORDS, ctypes.c_int64, ctypes.POINTER(ctypes.c_int),
    ]  # fmt: skip
    library.sim_tick.argtypes = [
        ctypes.c_void_p, _WORDS, ctypes.c_int64, _WORDS, ctypes.c_int64, ctypes.POINTER(ctypes.c_int64),
        ctypes.POINTER(ctypes.c_uint64),
    ]  # fmt: skip
    return library


def _access(
    library: ctypes.CDLL, handle: ctypes.c_void_p | None, address: int, words: WordsArray, *, write: bool, same: bool
) -> None:
    """Read into, or write, words."""
    status = ctypes.c_int()
    done = library.sim_access(
        handle, address, 0 if same else 1, int(write), words.ctypes.data_as(_WORDS), len(words), ctypes.byref(status)
    )
    if done != len(words):
        what = "no answer" if status.value < 0 else Status(status.value).name
        raise LinkError(f"{'write to' if write else 'read of'} address {address + (0 if same else done):#010x}: {what}")


def rtl_bus(config: ChipConfig, fabric: Fabric = GENERIC) -> RtlBus | RtlTiledBus:
    """A bus to the simulated chip, or chips, of a geometry."""
    several = config.chips_across * config.chips_down > 1
    return RtlTiledBus(config, fabric) if several else RtlBus(config, fabric)


def open_rtl(image: LoadableImage, fabric: Fabric | None = None) -> BusChip:
    """The image's chip, generated for a fabric (by default that of the image's board), compiled and loaded."""
    if fabric is None:
        fabric = FABRICS[board_geometry(image.board).fabric] if image.board else GENERIC
    return BusChip(rtl_bus(image.config, fabric), image)
