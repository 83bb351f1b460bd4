"""Bus to a simulated top level, over its serial line, with the frames of ``spikeloom.arch.frame``. Described in ``docs/simulation.md``."""

from __future__ import annotations

import ctypes

import numpy as np

from spikeloom.arch.config import ChipConfig
from spikeloom.arch.errors import LinkError
from spikeloom.arch.frame import MAX_WORDS, SLIP_END, Operation, Request, Response, unseal
from spikeloom.arch.layout import BUS_WORD_BITS
from spikeloom.arch.registers import IDENT, Status
from spikeloom.hdl.fabric import GENERIC, Fabric
from spikeloom.hdl.top import Top
from spikeloom.hdl.verilog import to_verilog
from spikeloom.host.bus import Bus, WordsArray
from spikeloom.sim.compiled import compile_model, load_library

_BYTES = ctypes.POINTER(ctypes.c_uint8)
#: Longest response: delimiters, and every byte escaped.
_MAX_RESPONSE = 2 + 2 * (8 + 4 * MAX_WORDS)
#: Silence, in bits on the line, after which no answer is expected any more.
QUIET_BITS = 400


class TopBus(Bus):
    """The whole design but pins and clock, driven through ``rx`` and ``tx`` only.

    Parameters
    ----------
    config : ChipConfig
        Geometry.
    divisor : int
        Clock cycles per bit; small ones keep the simulation short.
    fabric : Fabric
        Target whose memories are built in.
    """

    def __init__(self, config: ChipConfig, divisor: int = 8, fabric: Fabric = GENERIC) -> None:
        verilog = to_verilog(Top(config=config, divisor=divisor, fabric=fabric), "top")
        library = load_library(compile_model(verilog, "top", is_top=True))
        library.sim_exchange.restype = ctypes.c_int64
        library.sim_exchange.argtypes = [
            ctypes.c_void_p, _BYTES, ctypes.c_int64, _BYTES, ctypes.c_int64, ctypes.c_uint32, ctypes.c_uint8, ctypes.c_int64,
            ctypes.c_uint64,
        ]  # fmt: skip
        self._library = library
        self._handle: ctypes.c_void_p | None = ctypes.c_void_p(library.sim_new())
        self.divisor = divisor
        self._sequence = 0
        hello = self.request(Operation.HELLO, 0x5EED, 0)
        if hello.data[:2] != (0x5EED, IDENT):
            raise LinkError(f"the answer to HELLO was {hello.data}")

    def exchange(self, sent: bytes) -> bytes:
        """Put bytes on the line, as they are, and return what comes back until a frame has ended or the line is silent."""
        out = (ctypes.c_uint8 * max(1, len(sent))).from_buffer_copy(sent or b"\0")
        received = (ctypes.c_uint8 * _MAX_RESPONSE)()
        # A response has a delimiter before and behind it.
        count = self._library.sim_exchange(
            self._handle, out, len(sent), received, _MAX_RESPONSE, self.divisor, SLIP_END, 2, QUIET_BITS * self.divisor
        )
        return bytes(received[:count])

    @property
    def cycles(self) -> int:
        """Clock cycles since reset."""
        return int(self._library.sim_cycles(self._handle))

    def request(
        self, operation: int, address: int, count: int, data: tuple[int, ...] = (), sequence: int | None = None
    ) -> Response:
        """Send one request and decode its response.

        Raises
        ------
        LinkError
            If no sound response comes.
        """
        number = self._sequence if sequence is None else sequence
        self._sequence = (number + 1) % 256
        answer = self.exchange(Request(number, operation, address, count, data).encode())
        body = unseal(answer.strip(bytes((SLIP_END,))))
        if body is None:
            raise LinkError(f"no sound response to request {number}: {answer.hex() or 'silence'}")
        response = Response.decode(body)
        if response.sequence != number:
            raise LinkError(f"the response carries the sequence number {response.sequence}, not {number}")
        return response

    def _checked(self, operation: Operation, address: int, count: int, data: tuple[int, ...] = ()) -> Response:
        response = self.request(operation, address, count, data)
        if response.status != Status.OK or response.count != count:
            raise LinkError(f"{operation.name} at {address:#010x}: {response.status.name} after {response.count} of {count} words")
        return response

    def read(self, address: int, count: int, *, same: bool = False) -> WordsArray:
        """See :meth:`Bus.read`."""
        operation = Operation.READ_SAME if same else Operation.READ
        words: list[int] = []
        for start in range(0, count, MAX_WORDS):
            part = min(MAX_WORDS, count - start)
            words += self._checked(operation, address + (0 if same else start), part).data
        return np.array(words, np.uint32)

    def write(self, address: int, words: WordsArray, *, same: bool = False) -> None:
        """See :meth:`Bus.write`."""
        operation = Operation.WRITE_SAME if same else Operation.WRITE
        values = [int(word) & ((1 << BUS_WORD_BITS) - 1) for word in words]
        for start in range(0, len(values), MAX_WORDS):
            part = tuple(values[start : start + MAX_WORDS])
            self._checked(operation, address + (0 if same else start), len(part), part)

    def close(self) -> None:
        """Free the simulator."""
        if self._handle is not None:
            self._library.sim_free(self._handle)
            self._handle = None
