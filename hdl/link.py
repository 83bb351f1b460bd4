"""Link: executes the frames of ``spikeloom.arch.frame`` from a byte stream. Described in ``docs/link.md``."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import enum, stream, wiring
from amaranth.lib.crc import catalog
from amaranth.lib.wiring import In, Out, connect, flipped

from spikeloom.arch.frame import CRC_BYTES, HEADER_BYTES, MAX_WORDS, REPEAT_WINDOW, RING_BYTES, Operation
from spikeloom.arch.layout import BUS_WORD_BITS
from spikeloom.arch.registers import IDENT, PROTOCOL_VERSION, Status
from spikeloom.hdl.chip import ChipRequest, ChipResponse
from spikeloom.hdl.fabric import GENERIC, Fabric
from spikeloom.hdl.ram import Ram
from spikeloom.hdl.slip import SlipDecoder, SlipEncoder

WORD_BYTES = 4
#: Longest frame that is taken in.
MAX_FRAME = 255
#: Words of the answer to ``HELLO``: the number sent, ``IDENT``, ``PROTOCOL_VERSION``.
HELLO_WORDS = 3
COUNT_BITS = 8
STATUS_BITS = 3
#: Bits of the count of damaged frames; it wraps.
ERROR_BITS = 16
#: Least cycles between two bytes from the line.
BYTE_CYCLES = 12
#: Cycles for which a request to a busy chip is repeated before the answer is ``BUSY``.
WAIT_CYCLES = 1 << 20
#: Cycles for which ``RESET`` holds the chip in reset.
RESET_CYCLES = 16


class Part(enum.Enum, shape=2):
    """Part of a response."""

    SEQUENCE = 0
    DATA = 1
    TAIL = 2
    CRC = 3


class Receiver(wiring.Component):
    """Puts sound frames into a ring of bytes: the frame's length, then the frame.

    Parameters
    ----------
    fabric : Fabric
        Target.

    Members
    -------
    i : In(stream of 8)
        Bytes from the host, always taken; ``BYTE_CYCLES`` or more apart.
    take : In(1)
        Go on to the next byte of the ring, which is there two cycles later.
    byte : Out(8)
        The byte; registered by the memory.
    waiting : Out(1)
        There is a frame; two cycles late.
    errors : Out(16)
        Frames thrown away because they were damaged, or because there was no room.
    """

    def __init__(self, *, fabric: Fabric = GENERIC) -> None:
        self.fabric = fabric
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "take": In(1),
                "byte": Out(8),
                "waiting": Out(1),
                "errors": Out(ERROR_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ring = Ram(width=8, depth=RING_BYTES, fabric=self.fabric, style="block")
        # A bit per cycle: bytes are far apart, and the circuit is a third as large.
        crc = catalog.CRC32_ISO_HDLC(data_width=1).create()
        decoder = SlipDecoder()
        m.submodules.ring = ring
        m.submodules.crc = crc
        m.submodules.decoder = decoder

        # Place of the byte that is given out, and of the length of the frame that is coming in; up to there, frames are whole.
        at = Signal(range(RING_BYTES))
        start = Signal(range(RING_BYTES))
        write_at = Signal(range(RING_BYTES), init=1)
        length, dropped = Signal(range(MAX_FRAME + 1)), Signal()
        m.d.comb += [
            self.i.ready.eq(1),
            decoder.valid.eq(self.i.valid),
            decoder.byte.eq(self.i.payload),
            ring.read_address.eq(at),
            ring.read_enable.eq(1),
            self.byte.eq(ring.read_data),
        ]
        with m.If(self.take):
            m.d.sync += at.eq(at + 1)

        # A byte of a frame, a cycle after it came. Comparisons are registered, since the next one is some cycles away.
        got_valid, got = Signal(), Signal.like(decoder.out)
        full, sound, ended = Signal(), Signal(), Signal()
        room = Signal(range(RING_BYTES))
        m.d.comb += room.eq(at - write_at)
        bits, bits_left = Signal(8), Signal(range(9))
        with m.If(decoder.out_valid):
            m.d.sync += got.eq(decoder.out)
        m.d.sync += [
            got_valid.eq(decoder.out_valid),
            # One place stays free for the length of the next frame.
            full.eq((room[1:] == 0) | (length == MAX_FRAME)),
            sound.eq(crc.match_detected & ~dropped & (length >= HEADER_BYTES + CRC_BYTES)),
            ended.eq(got_valid & got.end & (length.any() | dropped)),
            self.waiting.eq(start != at),
        ]
        m.d.comb += [
            ring.write_address.eq(write_at),
            ring.write_data.eq(got.byte),
            crc.data.eq(bits[0]),
            crc.valid.eq(bits_left != 0),
        ]
        with m.If(bits_left != 0):
            m.d.sync += [bits.eq(bits[1:]), bits_left.eq(bits_left - 1)]
        with m.If(ended):
            m.d.comb += [ring.write_address.eq(start), ring.write_data.eq(length), crc.start.eq(1)]
            m.d.sync += [length.eq(0), dropped.eq(0)]
            with m.If(sound):
                m.d.comb += ring.write_enable.eq(1)
                m.d.sync += [start.eq(write_at), write_at.eq(write_at + 1)]
            with m.Else():
                m.d.sync += [self.errors.eq(self.errors + 1), write_at.eq(start + 1)]
        with m.Elif(got_valid & ~got.end):
            m.d.sync += [bits.eq(got.byte), bits_left.eq(8)]
            with m.If(full):
                m.d.sync += dropped.eq(1)
            with m.Else():
                m.d.comb += ring.write_enable.eq(1)
                m.d.sync += [write_at.eq(write_at + 1), length.eq(length + 1)]
        return m


class Link(wiring.Component):
    """Takes requests in while earlier ones are executed and answered, one after the other.

    Parameters
    ----------
    fabric : Fabric
        Target.

    Members
    -------
    i : In(stream of 8)
        Bytes from the host, always taken; ``BYTE_CYCLES`` or more apart.
    o : Out(stream of 8)
        Bytes to the host.
    request : Out(stream of ChipRequest)
    response : In(stream of ChipResponse)
    reset : Out(1)
        The chip behind the link is to be reset.
    errors : Out(16)
        Frames thrown away because they were damaged, or because there was no room.
    """

    def __init__(self, *, fabric: Fabric = GENERIC) -> None:
        self.fabric = fabric
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "o": Out(stream.Signature(8)),
                "request": Out(stream.Signature(ChipRequest)),
                "response": In(stream.Signature(ChipResponse)),
                "reset": Out(1),
                "errors": Out(ERROR_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        receiver, encoder = Receiver(fabric=self.fabric), SlipEncoder()
        crc = catalog.CRC32_ISO_HDLC(data_width=1).create()
        m.submodules.receiver = receiver
        m.submodules.crc = crc
        m.submodules.encoder = encoder
        connect(m, encoder.o, flipped(self.o))
        m.d.comb += [receiver.i.payload.eq(self.i.payload), receiver.i.valid.eq(self.i.valid), self.i.ready.eq(1)]
        m.d.comb += self.errors.eq(receiver.errors)

        # The request: bytes of it that are still in the ring; its header, which passes through a shift register; and what follows from both
        # some cycles later.
        more = Signal(8)
        header = Signal(8 * HEADER_BYTES)
        sequence, operation, count, address = header[0:8], header[8:16], header[16:32], header[32:64]
        is_write, is_read, is_same, is_hello, is_reset = Signal(), Signal(), Signal(), Signal(), Signal()
        bad_operation, bad_length, expected_words = Signal(), Signal(), Signal(6)
        # The sequence: number of the next request, the last one that failed, and what became of it.
        # ``recent`` is how many of the numbers before the next one belong to this sequence.
        begun, expected, age, recent = Signal(), Signal(8), Signal(8), Signal(range(REPEAT_WINDOW + 1))
        follows, repeated, is_last = Signal(), Signal(), Signal()
        stopped, failed_status, failed_count = Signal(), Signal(STATUS_BITS), Signal(COUNT_BITS)
        # Progress.
        run, again = Signal(), Signal()
        status, done = Signal(STATUS_BITS), Signal(COUNT_BITS)
        at_end, hello_ends = Signal(), Signal()
        # A word on its way from the ring to the chip or from the chip to the line, and the byte that is sent.
        word, byte, left, part = Signal(BUS_WORD_BITS), Signal(8), Signal(range(HEADER_BYTES + 1)), Signal(Part)
        at_last, at_none, at_last_of_frame = Signal(), Signal(), Signal()
        byte_there = Signal()
        waited = Signal(range(WAIT_CYCLES + 1))
        m.d.sync += [
            is_write.eq((operation == Operation.WRITE) | (operation == Operation.WRITE_SAME)),
            is_read.eq((operation == Operation.READ) | (operation == Operation.READ_SAME)),
            is_same.eq((operation == Operation.READ_SAME) | (operation == Operation.WRITE_SAME)),
            is_hello.eq(operation == Operation.HELLO),
            is_reset.eq(operation == Operation.RESET),
            expected_words.eq(Mux(is_write, count[:6], 0) + CRC_BYTES // WORD_BYTES),
            bad_operation.eq(~is_hello & ~is_read & ~is_write & ~is_reset),
            bad_length.eq((count > MAX_WORDS) | (more != Cat(Const(0, 2), expected_words))),
            age.eq(expected - sequence),
            follows.eq(begun & (age == 0)),
            repeated.eq(begun & (age != 0) & (age <= recent)),
            is_last.eq(age == 1),
            at_end.eq(done == count[:COUNT_BITS]),
            hello_ends.eq(done == HELLO_WORDS),
            at_last.eq(left == 1),
            at_none.eq(left == 0),
            at_last_of_frame.eq(more == 1),
        ]
        item = encoder.i
        m.d.comb += [
            self.request.payload.address.eq(address),
            self.request.payload.write.eq(is_write),
            self.request.payload.data.eq(word),
            item.payload.byte.eq(byte),
            crc.data.eq(byte[0]),
        ]
        bit = Signal(range(8))
        hello_words = (
            Array(Const(IDENT, 32).word_select(i, 8) for i in range(4)),
            Array(Const(PROTOCOL_VERSION, 32).word_select(i, 8) for i in range(4)),
        )
        # ``left`` counts down to 1.
        index = Signal(2)
        m.d.comb += index.eq(-left)

        def take() -> None:
            """Take the next byte of the frame from the ring."""
            m.d.comb += receiver.take.eq(1)
            m.d.sync += more.eq(more - 1)

        def shift_word() -> None:
            """A byte goes out at the bottom of the word, and one comes in at the top."""
            m.d.sync += word.eq(Cat(word[8:], receiver.byte))

        # Each byte of the ring takes two cycles: one until the memory gives it, one to take it.
        m.d.sync += byte_there.eq(0)

        with m.FSM(name="phase"):
            with m.State("IDLE"):
                m.d.sync += left.eq(HEADER_BYTES)
                with m.If(receiver.waiting):
                    m.next = "LENGTH"

            with m.State("LENGTH"):
                m.d.comb += receiver.take.eq(1)
                m.d.sync += more.eq(receiver.byte)
                m.next = "HEADER"

            with m.State("HEADER"):
                m.d.sync += byte_there.eq(~byte_there)
                with m.If(byte_there):
                    take()
                    m.d.sync += [header.eq(Cat(header[8:], receiver.byte)), left.eq(left - 1)]
                    with m.If(at_last):
                        m.next = "SETTLE"

            with m.State("SETTLE"):
                # What follows from the header takes three cycles.
                m.d.sync += byte_there.eq(~byte_there)
                with m.If(byte_there):
                    m.next = "SETTLED"

            with m.State("SETTLED"):
                m.next = "CHECK"

            with m.State("CHECK"):
                m.d.sync += [run.eq(0), again.eq(0), status.eq(Status.OK), done.eq(0)]
                with m.If(is_hello):
                    m.d.sync += [begun.eq(1), stopped.eq(bad_length), expected.eq(sequence + 1), recent.eq(0), run.eq(~bad_length)]
                    with m.If(bad_length):
                        m.d.sync += [status.eq(Status.BAD_LENGTH), failed_status.eq(Status.BAD_LENGTH), failed_count.eq(0)]
                with m.Elif(repeated):
                    with m.If(stopped & is_last):
                        m.d.sync += [status.eq(failed_status), done.eq(failed_count)]
                    with m.Elif(is_read):
                        # Reading changes nothing, so it is done again.
                        m.d.sync += [run.eq(~bad_length), again.eq(1)]
                    with m.Else():
                        m.d.sync += done.eq(count[:COUNT_BITS])
                with m.Elif(stopped):
                    m.d.sync += status.eq(Status.STOPPED)
                with m.Elif(~follows):
                    m.d.sync += status.eq(Status.BAD_SEQUENCE)
                with m.Else():
                    m.d.sync += [expected.eq(expected + 1), recent.eq(recent + (recent != REPEAT_WINDOW)), run.eq(1)]
                    with m.If(bad_operation | bad_length):
                        bad = Mux(bad_operation, Status.BAD_OPERATION, Status.BAD_LENGTH)
                        m.d.sync += [run.eq(0), status.eq(bad), stopped.eq(1), failed_status.eq(bad), failed_count.eq(0)]
                m.next = "OPEN"

            with m.State("OPEN"):
                m.d.comb += [item.valid.eq(1), item.payload.end.eq(1), crc.start.eq(1)]
                m.d.sync += [part.eq(Part.SEQUENCE), left.eq(1), waited.eq(0)]
                with m.If(item.ready):
                    m.next = "LOAD"

            with m.State("LOAD"):
                with m.Switch(part):
                    with m.Case(Part.SEQUENCE):
                        m.d.sync += byte.eq(sequence)
                    with m.Case(Part.DATA):
                        # HELLO answers with the number that it came with, which stands in the place of the address.
                        m.d.sync += byte.eq(
                            Mux(is_hello, Mux(done == 1, address[:8], Mux(done == 2, *(a[index] for a in hello_words))), word[:8])
                        )
                    with m.Case(Part.TAIL):
                        m.d.sync += byte.eq(Mux(left == 3, done, Mux(left == 1, status, 0)))
                    with m.Case(Part.CRC):
                        m.d.sync += byte.eq(crc.crc.word_select(index, 8))
                m.next = "SEND"

            with m.State("SEND"):
                m.d.comb += item.valid.eq(1)
                with m.If(item.ready):
                    shift_word()
                    with m.If(is_hello & (part == Part.DATA)):
                        m.d.sync += address.eq(address[8:])
                    m.d.sync += left.eq(left - 1)
                    m.next = "SUM"

            with m.State("SUM"):
                m.d.comb += crc.valid.eq(part != Part.CRC)
                m.d.sync += [byte.eq(byte[1:]), bit.eq(bit + 1)]
                with m.If(bit.all()):
                    m.next = "LOAD"
                    with m.If(at_none):
                        m.next = "NEXT"

            with m.State("NEXT"):
                m.d.sync += [part.eq(Part.DATA), left.eq(WORD_BYTES)]
                with m.If(part == Part.CRC):
                    m.next = "CLOSE"
                with m.Elif(part == Part.TAIL):
                    m.d.sync += part.eq(Part.CRC)
                    m.next = "LOAD"
                with m.Elif(run & is_hello & ~hello_ends):
                    m.d.sync += done.eq(done + 1)
                    m.next = "LOAD"
                with m.Elif(run & is_reset):
                    m.d.sync += [run.eq(0), waited.eq(WAIT_CYCLES - RESET_CYCLES + 1)]
                    m.next = "RESET"
                with m.Elif(run & ~is_hello & ~at_end):
                    with m.If(is_write):
                        m.next = "FETCH"
                    with m.Else():
                        m.next = "REQUEST"
                with m.Else():
                    m.d.sync += [part.eq(Part.TAIL), left.eq(3)]
                    m.next = "LOAD"

            with m.State("FETCH"):
                m.d.sync += byte_there.eq(~byte_there)
                with m.If(byte_there):
                    take()
                    shift_word()
                    m.d.sync += left.eq(left - 1)
                    with m.If(at_last):
                        m.next = "REQUEST"

            with m.State("REQUEST"):
                m.d.comb += self.request.valid.eq(1)
                m.d.sync += waited.eq(waited + 1)
                with m.If(self.request.ready):
                    m.next = "ANSWER"

            with m.State("ANSWER"):
                m.d.comb += self.response.ready.eq(1)
                m.d.sync += [waited.eq(waited + 1), left.eq(WORD_BYTES)]
                answer = self.response.payload.status
                with m.If(self.response.valid):
                    with m.If(is_read):
                        m.d.sync += word.eq(self.response.payload.data)
                    with m.If(answer == Status.OK):
                        m.d.sync += [address.eq(address + ~is_same), done.eq(done + 1), waited.eq(0)]
                        with m.If(is_read):
                            m.next = "LOAD"
                        with m.Else():
                            m.next = "STEP"
                    with m.Elif((answer == Status.BUSY) & ~waited[-1]):
                        m.next = "REQUEST"
                    with m.Else():
                        m.d.sync += [status.eq(answer), run.eq(0)]
                        with m.If(~again):
                            m.d.sync += [stopped.eq(1), failed_status.eq(answer), failed_count.eq(done)]
                        m.next = "NEXT"

            with m.State("STEP"):
                # A cycle until ``at_end`` is right.
                m.next = "NEXT"

            with m.State("RESET"):
                m.d.comb += self.reset.eq(1)
                m.d.sync += waited.eq(waited + 1)
                with m.If(waited[-1]):
                    m.next = "NEXT"

            with m.State("CLOSE"):
                m.d.comb += [item.valid.eq(1), item.payload.end.eq(1)]
                with m.If(item.ready):
                    m.next = "DRAIN"

            with m.State("DRAIN"):
                # What is left of the frame, its CRC at least.
                m.d.sync += byte_there.eq(~byte_there)
                with m.If(byte_there):
                    take()
                    with m.If(at_last_of_frame):
                        m.next = "GAP"

            with m.State("GAP"):
                # Until ``waiting`` is right.
                m.d.sync += byte_there.eq(~byte_there)
                with m.If(byte_there):
                    m.next = "IDLE"
        return m
