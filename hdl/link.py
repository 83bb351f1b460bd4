"""Link: executes the frames of ``spikeloom.arch.frame`` from a byte stream. Described in ``docs/link.md``."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import enum, stream, wiring
from amaranth.lib.crc import catalog
from amaranth.lib.wiring import In, Out, connect, flipped

from spikeloom.arch.frame import CRC_BYTES, HEADER_BYTES, MAX_WORDS, RESPONSE_HEADER_BYTES, Operation
from spikeloom.arch.layout import BUS_WORD_BITS
from spikeloom.arch.registers import IDENT, PROTOCOL_VERSION, Status
from spikeloom.hdl.chip import ChipRequest, ChipResponse
from spikeloom.hdl.fabric import GENERIC, Fabric
from spikeloom.hdl.ram import Ram
from spikeloom.hdl.slip import SlipDecoder, SlipEncoder

#: Bytes of each half of the buffer: the request in the lower half, the data of the response in the upper.
HALF = 256
WORD_BYTES = 4
#: Words of the answer to ``HELLO``: the number sent, ``IDENT``, ``PROTOCOL_VERSION``.
HELLO_WORDS = 3
COUNT_BITS = 8
#: Cycles from a step of the sending counter to its byte.
SETTLE_CYCLES = 5


class Phase(enum.Enum, shape=3):
    """What the link does."""

    #: Taking bytes until a frame ends.
    RECEIVE = 0
    #: Comparing its length, checksum and sequence number.
    COMPARE = 1
    #: Deciding what to do with it.
    CHECK = 2
    #: Fetching the next word to write from the buffer.
    FETCH = 3
    #: Waiting for the chip to take a request.
    REQUEST = 4
    #: Waiting for its answer.
    ANSWER = 5
    #: Storing a word of the answer in the buffer.
    STORE = 6
    #: Sending the response.
    SEND = 7


class Link(wiring.Component):
    """One request at a time: receive, check, execute, answer.

    Parameters
    ----------
    fabric : Fabric
        Target.

    Members
    -------
    i : In(stream of 8)
        Bytes from the host, always taken. What comes while a request is executed and answered is thrown away.
    o : Out(stream of 8)
        Bytes to the host.
    request : Out(stream of ChipRequest)
    response : In(stream of ChipResponse)
    errors : Out(32)
        Frames thrown away because they were damaged.
    """

    def __init__(self, *, fabric: Fabric = GENERIC) -> None:
        self.fabric = fabric
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "o": Out(stream.Signature(8)),
                "request": Out(stream.Signature(ChipRequest)),
                "response": In(stream.Signature(ChipResponse)),
                "errors": Out(BUS_WORD_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        buffer = Ram(width=8, depth=2 * HALF, fabric=self.fabric, style="block")
        crc = catalog.CRC32_ISO_HDLC(data_width=8).create()
        decoder, encoder = SlipDecoder(), SlipEncoder()
        m.submodules.buffer = buffer
        m.submodules.crc = crc
        m.submodules.decoder = decoder
        m.submodules.encoder = encoder
        connect(m, encoder.o, flipped(self.o))

        phase = Signal(Phase)
        # The request's header passes through a shift register; its fields are where they are once the frame has ended.
        length, begun, overlong = Signal(range(HALF)), Signal(), Signal()
        header = Signal(8 * HEADER_BYTES)
        sequence, operation, count = header[0:8], header[8:16], header[16:32]
        address = Signal(BUS_WORD_BITS)
        is_write, is_read, is_same, is_hello = Signal(), Signal(), Signal(), Signal()
        # The last response, kept for a repetition of its request.
        last_sequence, last_valid = Signal(8), Signal()
        last_status, last_count, last_words = Signal(3), Signal(COUNT_BITS), Signal(COUNT_BITS)
        refused = Signal()
        # Progress within a request.
        done_words = Signal(COUNT_BITS)
        word, byte_of_word = Signal(BUS_WORD_BITS), Signal(range(WORD_BYTES + 1))
        fetch_at, store_at = Signal(range(HALF)), Signal(range(HALF))
        # Comparisons are registered, since a byte on the line takes many cycles: each is valid a cycle after its operands settle.
        expected_length = Signal(range(2 * HALF))
        damaged, repeated, follows = Signal(), Signal(), Signal()
        bad_operation, bad_length = Signal(), Signal()
        at_last, at_end = Signal(), Signal()
        m.d.sync += [
            is_write.eq((operation == Operation.WRITE) | (operation == Operation.WRITE_SAME)),
            is_read.eq((operation == Operation.READ) | (operation == Operation.READ_SAME)),
            is_same.eq((operation == Operation.READ_SAME) | (operation == Operation.WRITE_SAME)),
            is_hello.eq(operation == Operation.HELLO),
            expected_length.eq(HEADER_BYTES + CRC_BYTES + Mux(is_write, WORD_BYTES * count[:COUNT_BITS], 0)),
            damaged.eq(overlong | ~crc.match_detected | (length < HEADER_BYTES + CRC_BYTES)),
            repeated.eq(last_valid & ~is_hello & (sequence == last_sequence)),
            follows.eq(last_valid & (sequence == (last_sequence + 1)[:8])),
            bad_operation.eq(~is_hello & ~is_read & ~is_write),
            bad_length.eq((count > MAX_WORDS) | (length != expected_length)),
            at_last.eq(done_words + 1 == count[:COUNT_BITS]),
            at_end.eq(done_words == count[:COUNT_BITS]),
        ]

        m.d.comb += [
            self.i.ready.eq(1),
            decoder.valid.eq(self.i.valid),
            decoder.byte.eq(self.i.payload),
            self.request.payload.address.eq(address),
            self.request.payload.write.eq(is_write),
            self.request.payload.data.eq(word),
            self.request.valid.eq(phase == Phase.REQUEST),
            self.response.ready.eq(phase == Phase.ANSWER),
            buffer.read_enable.eq(1),
        ]

        # A byte of a frame, a cycle after it came.
        got_valid, got = Signal(), Signal.like(decoder.out)
        m.d.sync += [got_valid.eq(decoder.out_valid & (phase == Phase.RECEIVE)), got.eq(decoder.out)]

        with m.Switch(phase):
            with m.Case(Phase.RECEIVE):
                m.d.comb += [
                    buffer.write_address.eq(length),
                    buffer.write_data.eq(got.byte),
                    crc.data.eq(got.byte),
                ]
                with m.If(got_valid & got.end):
                    with m.If(begun):
                        m.d.sync += phase.eq(Phase.COMPARE)
                with m.Elif(got_valid):
                    m.d.comb += [buffer.write_enable.eq(1), crc.valid.eq(1)]
                    m.d.sync += [length.eq(length + 1), begun.eq(1)]
                    with m.If(length == HALF - 1):
                        m.d.sync += [overlong.eq(1), length.eq(HALF - 1)]
                    with m.If(length < HEADER_BYTES):
                        m.d.sync += header.eq(Cat(header[8:], got.byte))

            with m.Case(Phase.COMPARE):
                m.d.sync += phase.eq(Phase.CHECK)

            with m.Case(Phase.CHECK):
                m.d.comb += crc.start.eq(1)
                m.d.sync += [length.eq(0), begun.eq(0), overlong.eq(0), refused.eq(0)]
                with m.If(damaged):
                    m.d.sync += [self.errors.eq(self.errors + 1), phase.eq(Phase.RECEIVE)]
                with m.Elif(repeated):
                    m.d.sync += phase.eq(Phase.SEND)
                with m.Elif(~is_hello & ~follows):
                    m.d.sync += [refused.eq(1), phase.eq(Phase.SEND)]
                with m.Else():
                    m.d.sync += [
                        last_valid.eq(1),
                        last_sequence.eq(sequence),
                        last_status.eq(Status.OK),
                        last_count.eq(0),
                        last_words.eq(0),
                        done_words.eq(0),
                        fetch_at.eq(HEADER_BYTES),
                        store_at.eq(0),
                        byte_of_word.eq(0),
                        address.eq(header[32:]),
                        word.eq(header[32:]),
                        phase.eq(Phase.SEND),
                    ]
                    with m.If(bad_operation):
                        m.d.sync += last_status.eq(Status.BAD_OPERATION)
                    with m.Elif(bad_length):
                        m.d.sync += last_status.eq(Status.BAD_LENGTH)
                    with m.Elif(is_hello):
                        m.d.sync += phase.eq(Phase.STORE)
                    with m.Elif(count != 0):
                        m.d.sync += phase.eq(Mux(is_write, Phase.FETCH, Phase.REQUEST))

            with m.Case(Phase.FETCH):
                # The buffer answers a cycle later, so the first cycle only asks.
                m.d.comb += buffer.read_address.eq(fetch_at)
                m.d.sync += [fetch_at.eq(fetch_at + 1), byte_of_word.eq(byte_of_word + 1)]
                with m.If(byte_of_word != 0):
                    m.d.sync += word.eq(Cat(word[8:], buffer.read_data))
                with m.If(byte_of_word == WORD_BYTES):
                    m.d.sync += [fetch_at.eq(fetch_at), byte_of_word.eq(0), phase.eq(Phase.REQUEST)]

            with m.Case(Phase.REQUEST):
                with m.If(self.request.ready):
                    m.d.sync += phase.eq(Phase.ANSWER)

            with m.Case(Phase.ANSWER):
                with m.If(self.response.valid):
                    m.d.sync += [last_status.eq(self.response.payload.status), phase.eq(Phase.SEND)]
                    with m.If(self.response.payload.status == Status.OK):
                        m.d.sync += [
                            word.eq(self.response.payload.data),
                            address.eq(address + ~is_same),
                            done_words.eq(done_words + 1),
                            last_count.eq(done_words + 1),
                        ]
                        with m.If(is_read):
                            m.d.sync += phase.eq(Phase.STORE)
                        with m.Elif(~at_last):
                            m.d.sync += phase.eq(Phase.FETCH)

            with m.Case(Phase.STORE):
                m.d.comb += [
                    buffer.write_address.eq(HALF + store_at),
                    buffer.write_data.eq(word[:8]),
                    buffer.write_enable.eq(1),
                ]
                m.d.sync += [
                    word.eq(word[8:]),
                    store_at.eq(store_at + 1),
                    byte_of_word.eq(byte_of_word + 1),
                ]
                with m.If(byte_of_word == WORD_BYTES - 1):
                    m.d.sync += [byte_of_word.eq(0), last_words.eq(last_words + 1), phase.eq(Phase.REQUEST)]
                    with m.If(is_hello):
                        m.d.sync += [
                            last_count.eq(HELLO_WORDS),
                            word.eq(Mux(last_words == 0, IDENT, PROTOCOL_VERSION)),
                            phase.eq(Mux(last_words == HELLO_WORDS - 1, Phase.SEND, Phase.STORE)),
                        ]
                    with m.Elif(at_end):
                        m.d.sync += phase.eq(Phase.SEND)

            with m.Case(Phase.SEND):
                header_bytes = [
                    sequence,
                    Mux(refused, Status.BAD_SEQUENCE, last_status),
                    Mux(refused, 0, last_count),
                    Const(0, 8),
                ]
                self._send(m, buffer, crc, encoder, phase, header_bytes, Mux(refused, 0, last_words))
        return m

    def _send(
        self,
        m: Module,
        buffer: Ram,
        crc: wiring.Component,
        encoder: SlipEncoder,
        phase: Signal,
        header_bytes: list[Signal],
        words: Signal,
    ) -> None:
        """Send a delimiter, the header, the data, the CRC and a delimiter."""
        opened = Signal()
        sent = Signal(range(RESPONSE_HEADER_BYTES + HALF + CRC_BYTES + 1))
        # Where the data and the CRC end. Both ends are multiples of four, so the low bits of ``sent`` number the bytes of the CRC too.
        data_end, crc_end = Signal.like(sent), Signal.like(sent)
        in_header, in_data, closing = Signal(), Signal(), Signal()
        byte, end = Signal(8), Signal()
        settled, accepted = Signal(SETTLE_CYCLES), Signal()
        item = encoder.i
        m.d.comb += [
            buffer.read_address.eq(HALF + (sent - RESPONSE_HEADER_BYTES)[:8]),
            item.valid.eq(settled[-1] & ~accepted),
            item.payload.end.eq(end),
            item.payload.byte.eq(byte),
            crc.data.eq(byte),
        ]
        # A byte goes through registers: the ends, the comparisons, the choice.
        m.d.sync += [
            accepted.eq(item.valid & item.ready),
            settled.eq(Cat(Const(1, 1), settled[:-1])),
            data_end.eq(RESPONSE_HEADER_BYTES + Cat(Const(0, 2), words)),
            crc_end.eq(data_end + CRC_BYTES),
            in_header.eq(sent < RESPONSE_HEADER_BYTES),
            in_data.eq(sent < data_end),
            closing.eq(sent == crc_end),
            byte.eq(
                Mux(in_header, Array(header_bytes)[sent[:2]], Mux(in_data, buffer.read_data, crc.crc.word_select(sent[:2], 8)))
            ),
            end.eq(~opened | closing),
        ]
        with m.If(accepted):
            m.d.sync += settled.eq(0)
            with m.If(~opened):
                m.d.comb += crc.start.eq(1)
                m.d.sync += opened.eq(1)
            with m.Elif(end):
                m.d.comb += crc.start.eq(1)
                m.d.sync += [opened.eq(0), sent.eq(0), phase.eq(Phase.RECEIVE)]
            with m.Else():
                m.d.comb += crc.valid.eq(in_data)
                m.d.sync += sent.eq(sent + 1)
