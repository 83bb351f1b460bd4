"""The whole top level in a compiled simulator, as a stream of bytes through its serial pins. Described in ``docs/virtual.md``."""

from __future__ import annotations

import ctypes

from spikeloom.arch.config import ChipConfig
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


class CompiledTop(ByteStream):
    """Everything but pins and clock. Time passes only in :meth:`receive` and :meth:`exchange`.

    Parameters
    ----------
    config : ChipConfig
        Geometry.
    divisor : int
        Clock cycles per bit; small ones keep the simulation short.
    fabric : Fabric
        Target whose memories are built in.

    Attributes
    ----------
    bytes_in, bytes_out : int
        Bytes to and from the chip so far.
    """

    name = "the simulated board"

    def __init__(self, config: ChipConfig, divisor: int = 8, fabric: Fabric = GENERIC) -> None:
        verilog = to_verilog(Top(config=config, divisor=divisor, fabric=fabric), "top")
        library = load_library(compile_model(verilog, "top", is_top=True))
        library.sim_serial.restype = ctypes.c_int64
        library.sim_serial.argtypes = [
            ctypes.c_void_p, _BYTES, ctypes.c_int64, ctypes.POINTER(ctypes.c_int64), _BYTES, ctypes.c_int64, ctypes.c_uint32,
            ctypes.c_uint8, ctypes.c_int64, ctypes.c_uint64, ctypes.c_uint64,
        ]  # fmt: skip
        self._library = library
        self._handle: ctypes.c_void_p | None = ctypes.c_void_p(library.sim_new())
        self.divisor = divisor
        self.bytes_in = self.bytes_out = 0
        self._waiting = b""

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
