"""The whole top level in a compiled simulator, as a stream of bytes through its serial pins. Described in ``docs/virtual.md``."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spikeloom.arch.config import ChipConfig
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.frame import SLIP_END
from spikeloom.hdl.fabric import GENERIC, Fabric
from spikeloom.hdl.top import Top
from spikeloom.hdl.verilog import to_verilog
from spikeloom.host.stream import ByteStream
from spikeloom.sim.compiled import compile_model, load_library

_BYTES = ctypes.POINTER(ctypes.c_uint8)
#: Bytes taken from the line in one call.
_CHUNK = 65536
#: Silence of the line, in bits, while the chip is idle, after which nothing will come any more.
QUIET_BITS = 400
#: Clock cycles after which a waveform ends by itself.
WAVE_CYCLES = 200_000


@dataclass(frozen=True, slots=True)
class Wave:
    """A waveform of all signals, in the VCD format. A clock cycle is shown as 10 ns.

    Parameters
    ----------
    path : Path
        File to write. Its name ends in ``.vcd``.
    cycles : int
        Clock cycles after which it ends. The simulation goes on.

    Raises
    ------
    ConfigError
        If the name has another ending, the number is not positive, or the file cannot be written.
    """

    path: Path
    cycles: int = WAVE_CYCLES

    def __post_init__(self) -> None:
        if self.path.suffix.lower() != ".vcd":
            raise ConfigError(f"the waveform is {self.path}; it is a VCD file, so its name must end in .vcd")
        if self.cycles < 1:
            raise ConfigError(f"the waveform would have {self.cycles} clock cycles; it must have at least 1")
        there = self.path.exists()
        try:
            # Before a simulator is compiled, which takes a while.
            with self.path.open("ab"):
                pass
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be written: {error.strerror}") from error
        if not there:
            self.path.unlink()


class SimulatedTop(ByteStream):
    """A compiled top level. Time passes only in :meth:`receive` and :meth:`exchange`.

    Parameters
    ----------
    library : Path
        From :func:`~spikeloom.sim.compiled.compile_model`.
    divisor : int
        Clock cycles per bit.
    wave : Wave or None
        Waveform to write from now on; the library must have been compiled for it.

    Attributes
    ----------
    bytes_in, bytes_out : int
        Bytes to and from the chip so far.
    on_wave_end : callable
        Called when the waveform has reached its number of cycles.

    Raises
    ------
    ConfigError
        If the waveform cannot be written.
    """

    name = "the simulated board"

    def __init__(self, library: Path, divisor: int, wave: Wave | None = None) -> None:
        functions = load_library(library)
        functions.sim_serial.restype = ctypes.c_int64
        functions.sim_serial.argtypes = [
            ctypes.c_void_p, _BYTES, ctypes.c_int64, ctypes.POINTER(ctypes.c_int64), _BYTES, ctypes.c_int64, ctypes.c_uint32,
            ctypes.c_uint8, ctypes.c_int64, ctypes.c_uint64, ctypes.c_uint64,
        ]  # fmt: skip
        self._library = functions
        self._handle: ctypes.c_void_p | None = ctypes.c_void_p(functions.sim_new())
        self.divisor = divisor
        self.bytes_in = self.bytes_out = 0
        self._waiting = b""
        self.on_wave_end: Callable[[], None] = lambda: None
        self._waving = wave is not None
        if wave is not None:
            functions.sim_wave.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint64]
            functions.sim_waving.argtypes = [ctypes.c_void_p]
            if not functions.sim_wave(self._handle, str(wave.path).encode(), wave.cycles):
                self.close()
                raise ConfigError(f"{wave.path} cannot be written")

    @property
    def cycles(self) -> int:
        """Clock cycles since reset."""
        return int(self._library.sim_cycles(self._handle))

    def exchange(self, sent: bytes, *, delimiters: int = 2, max_cycles: int = 1 << 40) -> bytes:
        """Put bytes on the line, as they are, and return what comes back.

        It ends with so many delimiters, when line and chip are silent, or after some cycles. What was not sent by then goes first next
        time.
        """
        data = self._waiting + sent
        out = (ctypes.c_uint8 * max(1, len(data))).from_buffer_copy(data or b"\0")
        received, done = (ctypes.c_uint8 * _CHUNK)(), ctypes.c_int64()
        count = self._library.sim_serial(
            self._handle, out, len(data), ctypes.byref(done), received, _CHUNK, self.divisor, SLIP_END, delimiters,
            QUIET_BITS * self.divisor, max_cycles,
        )  # fmt: skip
        self._waiting = data[done.value :]
        self.bytes_in += done.value
        self.bytes_out += count
        if self._waving and not self._library.sim_waving(self._handle):
            self._waving = False
            self.on_wave_end()
        return bytes(received[:count])

    def send(self, data: bytes) -> None:
        """See :meth:`ByteStream.send`."""
        self._waiting += data

    def receive(self, seconds: float) -> bytes:
        """Run until a delimiter comes, or nothing can come any more."""
        return self.exchange(b"", delimiters=1)

    def close(self) -> None:
        """Free the simulator."""
        if self._handle is not None:
            self._library.sim_free(self._handle)
            self._handle = None


class CompiledTop(SimulatedTop):
    """Everything but pins and clock of a geometry.

    Parameters
    ----------
    config : ChipConfig
        Geometry.
    divisor : int
        Clock cycles per bit; small ones keep the simulation short.
    fabric : Fabric
        Target whose memories are built in.
    wave : Wave or None
        Waveform to write.
    clock_khz : int
        What the chip's register ``CLOCK`` says; 0: unknown, so that ticks cannot be paced.
    """

    def __init__(
        self, config: ChipConfig, divisor: int = 8, fabric: Fabric = GENERIC, wave: Wave | None = None, clock_khz: int = 0
    ) -> None:
        verilog = to_verilog(Top(config=config, divisor=divisor, fabric=fabric, clock_khz=clock_khz), "top")
        super().__init__(compile_model(verilog, "top", is_top=True, trace=wave is not None), divisor, wave)
