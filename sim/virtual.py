"""A board without the board: the whole top level, simulated, behind a pseudo-terminal. Described in ``docs/virtual.md``."""

from __future__ import annotations

import os
import select
import threading
import tty
from types import TracebackType
from typing import Self

from spikeloom.arch.boards import board_geometry
from spikeloom.arch.config import ChipConfig
from spikeloom.arch.image import LoadableImage
from spikeloom.hdl.fabric import FABRICS, GENERIC, Fabric
from spikeloom.hdl.uart import divisor_for
from spikeloom.host.bus_chip import BusChip
from spikeloom.host.chip import Progress
from spikeloom.host.serial_chip import open_serial
from spikeloom.sim.compiled_top import CompiledTop, Wave

#: Clock cycles between two looks at the terminal while the chip is busy.
SLICE_CYCLES = 20_000
#: Most bytes taken from the terminal at once.
CHUNK = 4096


class VirtualBoard:
    """Simulated hardware that a serial port leads to. It runs in a thread of its own, and stands still while there is nothing to do.

    Parameters
    ----------
    config : ChipConfig
        Geometry.
    divisor : int
        Clock cycles per bit of the serial line.
    fabric : Fabric
        Target whose memories are built in.
    wave : Wave or None
        Waveform to write from the start until the board is switched off, or has run for the waveform's number of cycles.
    clock_khz : int
        What the chip's register ``CLOCK`` says.

    Attributes
    ----------
    port : str
        The terminal, for example ``/dev/pts/7``: what the driver opens. The speed that it sets means nothing.
    top : CompiledTop
        The hardware. Not to be used while the board runs.
    """

    def __init__(
        self, config: ChipConfig, divisor: int = 8, fabric: Fabric = GENERIC, wave: Wave | None = None, clock_khz: int = 0
    ) -> None:
        self.top = CompiledTop(config, divisor, fabric, wave, clock_khz)
        self._board, self._terminal = os.openpty()
        # As long as this end is open, the port outlives programs that use it.
        tty.setraw(self._terminal)
        self.port = os.ttyname(self._terminal)
        self._stopped, self._wake = os.pipe()
        # Not the thread's own state: a join that a signal interrupts leaves it wrong.
        self._ended, self._closed = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="spikeloom virtual board", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._serve()
        finally:
            self._ended.set()

    def _serve(self) -> None:
        idle = True
        while True:
            ready, _, _ = select.select([self._board, self._stopped], [], [], None if idle else 0)
            if self._stopped in ready:
                return
            data = os.read(self._board, CHUNK) if ready else b""
            before = self.top.cycles
            answer = self.top.exchange(data, delimiters=1, max_cycles=SLICE_CYCLES)
            # It stops early only when it is silent, or has something to say.
            idle = not answer and self.top.cycles - before < SLICE_CYCLES
            while answer:
                answer = answer[os.write(self._board, answer) :]

    def wait(self) -> None:
        """Let it run until it is closed, or a signal interrupts."""
        while not self._ended.wait(1):
            pass

    def stop(self) -> None:
        """Let no more time pass."""
        if not self._ended.is_set():
            os.write(self._wake, b"\0")
            self._ended.wait()

    def close(self) -> None:
        """Switch it off."""
        if not self._closed:
            self._closed = True
            self.stop()
            self.top.close()
            for end in (self._board, self._terminal, self._stopped, self._wake):
                os.close(end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def virtual_board(config: ChipConfig, board: str = "", fabric: Fabric | None = None, wave: Wave | None = None) -> VirtualBoard:
    """A virtual board with the clock, the speed and the memories of a real one.

    Parameters
    ----------
    config : ChipConfig
        Geometry.
    board : str
        Name of a board, or empty.
    fabric : Fabric
        Target whose memories are built in, by default that of the board.
    wave : Wave or None
        Waveform to write.
    """
    if not board:
        return VirtualBoard(config, fabric=fabric or GENERIC, wave=wave)
    geometry = board_geometry(board)
    clock = geometry.clock_mhz * 1e6
    return VirtualBoard(config, divisor_for(clock, geometry.baud), fabric or FABRICS[geometry.fabric], wave, round(clock / 1e3))


def open_virtual(image: LoadableImage, fabric: Fabric | None = None, progress: Progress | None = None) -> BusChip:
    """The image's board, simulated, through a serial port, with the driver for real ones."""
    board = virtual_board(image.config, image.board, fabric)
    try:
        chip = open_serial(board.port, image, progress=progress)
    except BaseException:
        board.close()
        raise
    chip.on_close = board.close
    return chip
