"""ChipLink: a stream of words to a neighbouring chip and back, over few pins. Described in ``docs/chip_link.md``."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import cdc, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.arch.chip_link import (
    CRC_BITS,
    CRC_START,
    HEADER,
    KEEP_ALIVE_FRAMES,
    REPEAT_FRAMES,
    SEQUENCE_BITS,
    SILENT_FRAMES,
    WINDOW,
    FrameFormat,
    Kind,
    crc_effects,
)
from spikeloom.hdl.fabric import GENERIC, Fabric
from spikeloom.hdl.layouts import struct_of
from spikeloom.hdl.ram import Ram

Header = struct_of(HEADER)
#: Frame times after a reset until the first frame is believed. All that the other side sent or received before the reset is over by then.
DEAF_FRAMES = 3


class State(enum.Enum, shape=2):
    """How far the two sides know of each other. The first two are the kinds of the frames sent in them."""

    #: This side has begun.
    HELLO = 0
    #: So has the other.
    ANSWER = 1
    #: Both know that.
    LINKED = 2


def _crc_of(register: Value, cell: Value) -> Value:
    """The CRC's register after a cell."""
    lanes, effects = len(cell), crc_effects(len(cell))
    differs = register[:lanes] ^ cell
    return Cat(
        Cat(register[bit + lanes : bit + lanes + 1], *(differs[i] for i in range(lanes) if effects[i] >> bit & 1)).xor()
        for bit in range(CRC_BITS)
    )


def _choose(number: Value, choices: list[Value]) -> Value:
    """One of the choices, by a tree of multiplexers."""
    if len(choices) == 1:
        return choices[0]
    pairs = [
        Mux(number[0], *reversed(choices[i : i + 2])) if i + 1 < len(choices) else choices[i] for i in range(0, len(choices), 2)
    ]
    return _choose(number[1:], pairs)


class ChipLink(wiring.Component):
    """Gives each word out at the other side once and in order, whatever happens on the pins.

    When the other side begins anew, so does this one: ``up`` falls, and words under way are lost.

    Parameters
    ----------
    width : int
        Bits of a word.
    lanes : int
        Data pins of each direction.
    cell : int
        Clock cycles that the data pins keep their value, at least 4; and at least 3 cycles of the other side's clock.
    fabric : Fabric
        Target.

    Members
    -------
    i : In(stream of width)
        Words to the other side.
    o : Out(stream of width)
        Words from it.
    tx : Out(lanes + 2)
        Pins to the other side's ``rx``: data, then strobe, then frame. Straight from registers.
    rx : In(lanes + 2)
        Pins from the other side's ``tx``, asynchronous.
    up : Out(1)
        The other side is there and has answered.
    errors : Out(1)
        Strobe: a damaged frame came.
    repeats : Out(1)
        Strobe: a word is sent again.
    """

    def __init__(self, *, width: int, lanes: int, cell: int, fabric: Fabric = GENERIC) -> None:
        self.width, self.lanes, self.cell, self.fabric = width, lanes, cell, fabric
        self.frames = FrameFormat(width, lanes)
        super().__init__(
            {
                "i": In(stream.Signature(width)),
                "o": Out(stream.Signature(width)),
                "tx": Out(lanes + 2),
                "rx": In(lanes + 2),
                "up": Out(1),
                "errors": Out(1),
                "repeats": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.transmitter = transmitter = Transmitter(frames=self.frames, cell=self.cell)
        m.submodules.receiver = receiver = Receiver(frames=self.frames)
        m.submodules.outgoing = outgoing = Ram(width=self.width, depth=WINDOW + 1, fabric=self.fabric)
        m.submodules.incoming = incoming = Ram(width=self.width, depth=WINDOW + 1, fabric=self.fabric)
        m.d.comb += [self.tx.eq(transmitter.tx), receiver.rx.eq(self.rx)]

        state = Signal(State)
        linked = Signal()
        good, got = receiver.good, receiver.header
        # All numbers of words are modulo 16, and so places in the buffers.
        # Outgoing: where the next word from ``i`` goes; the next to send; the next never sent before; the first not acknowledged; the
        # first for which the other side has no room.
        write, send, fresh, base = (Signal(SEQUENCE_BITS, name=name) for name in ("write", "send", "fresh", "base"))
        limit = Signal(SEQUENCE_BITS, init=WINDOW)
        # Incoming: where the next word from the pins goes; the next to give out.
        expected, read = Signal(SEQUENCE_BITS), Signal(SEQUENCE_BITS)
        m.d.comb += linked.eq(state == State.LINKED)

        # Words from ``i`` wait in the buffer until they are acknowledged.
        m.d.comb += [
            self.i.ready.eq((write + 1)[:SEQUENCE_BITS] != base),
            outgoing.write_address.eq(write),
            outgoing.write_data.eq(self.i.payload),
            outgoing.write_enable.eq(self.i.valid & self.i.ready),
            outgoing.read_address.eq(send),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += write.eq(write + 1)

        # Frame times.
        frame_time = Signal(range(self.frames.cells * self.cell), init=self.frames.cells * self.cell - 1)
        step = Signal()
        m.d.sync += [step.eq(frame_time == 0), frame_time.eq(frame_time - 1)]
        with m.If(frame_time == 0):
            m.d.sync += frame_time.eq(frame_time.init)

        # A frame begins when there is something to say. After a good frame it takes two cycles more until ``has_word`` agrees with it.
        has_word, owing, settling, start = Signal(), Signal(), Signal(2), Signal()
        unheard = Signal(range(KEEP_ALIVE_FRAMES))
        m.d.sync += [has_word.eq(linked & (send != write) & (send != limit)), settling.eq(Cat(good, settling[0]))]
        m.d.comb += [
            start.eq(transmitter.free & ~good & (settling == 0) & (has_word | owing | ~linked)),
            transmitter.start.eq(start),
            transmitter.header.kind.eq(Mux(linked, Cat(has_word, Const(1, 1)), state)),
            transmitter.header.sequence.eq(send),
            transmitter.header.expected.eq(expected),
            transmitter.header.limit.eq(read + WINDOW),
            transmitter.word.eq(outgoing.read_data),
            outgoing.read_enable.eq(start),
        ]
        m.d.sync += self.repeats.eq(start & has_word & (send != fresh))
        with m.If(start):
            m.d.sync += [owing.eq(0), unheard.eq(0)]
            with m.If(has_word):
                m.d.sync += send.eq(send + 1)
                with m.If(send == fresh):
                    m.d.sync += fresh.eq(send + 1)
        with m.Elif(step):
            m.d.sync += unheard.eq(unheard + 1)
            with m.If(unheard == KEEP_ALIVE_FRAMES - 1):
                m.d.sync += owing.eq(1)

        # Words that are not acknowledged for too long are sent again, all of them.
        late = Signal(range(REPEAT_FRAMES + 1))
        with m.If(base == send):
            m.d.sync += late.eq(0)
        with m.Elif(late == REPEAT_FRAMES):
            with m.If(~start & ~good):
                m.d.sync += [send.eq(base), late.eq(0)]
        with m.Elif(step):
            m.d.sync += late.eq(late + 1)

        # What was to be sent again may have arrived the first time: then the first not acknowledged is beyond the next to send.
        with m.If((send - base)[:SEQUENCE_BITS] > (fresh - base)[:SEQUENCE_BITS]):
            m.d.sync += send.eq(base)

        # Words to ``o``.
        taking = Signal()
        m.d.comb += [
            taking.eq((read != expected) & (~self.o.valid | self.o.ready)),
            incoming.read_address.eq(read),
            incoming.read_enable.eq(taking),
            self.o.payload.eq(incoming.read_data),
            incoming.write_address.eq(expected),
            incoming.write_data.eq(receiver.word),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(taking):
            m.d.sync += [self.o.valid.eq(1), read.eq(read + 1), owing.eq(1)]

        # Whether anybody is there.
        silent, deaf = Signal(range(SILENT_FRAMES + 1)), Signal(init=1)
        m.d.comb += receiver.enable.eq(~deaf)
        m.d.sync += [self.up.eq(linked & (silent != SILENT_FRAMES)), self.errors.eq(receiver.bad)]
        with m.If(good):
            m.d.sync += silent.eq(0)
        with m.Elif(step & (silent != SILENT_FRAMES)):
            m.d.sync += silent.eq(silent + 1)
        with m.If(silent == DEAF_FRAMES):
            m.d.sync += deaf.eq(0)

        with m.If(good):
            with m.If(got.kind[1]):
                with m.If(state != State.HELLO):
                    m.d.sync += [state.eq(State.LINKED), base.eq(got.expected), limit.eq(got.limit)]
                    with m.If(base != got.expected):
                        m.d.sync += late.eq(0)
                    with m.If(got.kind[0]):
                        m.d.sync += owing.eq(1)
                        with m.If(got.sequence == expected):
                            m.d.comb += incoming.write_enable.eq(1)
                            m.d.sync += expected.eq(expected + 1)
            with m.Elif(got.kind == Kind.HELLO):
                m.d.sync += state.eq(State.ANSWER)
                with m.If(linked):
                    # The other side has begun anew.
                    m.d.sync += [number.eq(number.init) for number in (write, send, fresh, base, limit, expected, read)]
            with m.Elif(state == State.HELLO):
                m.d.sync += state.eq(State.ANSWER)
            with m.Else():
                # It may have missed that this side is linked.
                m.d.sync += [state.eq(State.LINKED), owing.eq(1)]
        return m


class Transmitter(wiring.Component):
    """Puts frames on the pins.

    Parameters
    ----------
    frames : FrameFormat
    cell : int
        Clock cycles of a cell.

    Members
    -------
    free : Out(1)
        A frame may start.
    start : In(1)
        Strobe, only while ``free``: a frame with ``header`` starts.
    header : In(Header)
    word : In(width)
        Valid from the cycle after ``start`` on, until ``free``.
    tx : Out(lanes + 2)
    """

    def __init__(self, *, frames: FrameFormat, cell: int) -> None:
        self.frames, self.cell = frames, cell
        super().__init__(
            {
                "free": Out(1),
                "start": In(1),
                "header": In(Header),
                "word": In(frames.width),
                "tx": Out(frames.lanes + 2),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes, cells, body_cells = self.frames.lanes, self.frames.cells, self.frames.body_cells
        data, strobe, frame = self.tx[:lanes], self.tx[lanes], self.tx[lanes + 1]
        header = Signal(Header)
        body = Cat(header, self.word, Const(0, body_cells * lanes - HEADER.bits - self.frames.width))
        running, phase, number = Signal(), Signal(range(self.cell)), Signal(range(cells))
        in_crc, at_last, ending = Signal(), Signal(), Signal()
        crc = Signal(CRC_BITS)
        m.d.comb += [
            ending.eq(at_last & (phase == self.cell - 1)),
            self.free.eq(~running | ending),
        ]
        with m.If(running):
            m.d.sync += phase.eq(phase + 1)
            with m.If(phase == 0):
                # The frame pin marks the first and the last cell.
                m.d.sync += [
                    data.eq(_choose(number, [body.word_select(i, lanes) for i in range(body_cells)])),
                    frame.eq(number == 0),
                ]
                with m.If(in_crc):
                    m.d.sync += [data.eq(crc[:lanes]), frame.eq(at_last)]
            with m.If(phase == 1):
                # A cell of the CRC itself shifts it.
                m.d.sync += crc.eq(_crc_of(crc, data))
            with m.If(phase == self.cell // 2):
                m.d.sync += strobe.eq(~strobe)
            with m.If(phase == self.cell - 1):
                m.d.sync += [phase.eq(0), number.eq(number + 1), at_last.eq(number == cells - 2)]
                with m.If(number == body_cells - 1):
                    m.d.sync += in_crc.eq(1)
                with m.If(at_last):
                    m.d.sync += running.eq(0)
        with m.If(self.start):
            m.d.sync += [
                running.eq(1),
                header.eq(self.header),
                phase.eq(0),
                number.eq(0),
                at_last.eq(0),
                in_crc.eq(0),
                crc.eq(CRC_START),
            ]
        return m


class Receiver(wiring.Component):
    """Takes frames from the pins.

    Parameters
    ----------
    frames : FrameFormat

    Members
    -------
    rx : In(lanes + 2)
    enable : In(1)
        Otherwise no frame is taken.
    good : Out(1)
        Strobe: a frame came; ``header`` and ``word`` are valid in this cycle.
    bad : Out(1)
        Strobe: what came of a frame is no frame.
    header : Out(Header)
    word : Out(width)
    """

    def __init__(self, *, frames: FrameFormat) -> None:
        self.frames = frames
        super().__init__(
            {
                "rx": In(frames.lanes + 2),
                "enable": In(1),
                "good": Out(1),
                "bad": Out(1),
                "header": Out(Header),
                "word": Out(frames.width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes, cells, body_cells = self.frames.lanes, self.frames.cells, self.frames.body_cells
        pins, last_pins = Signal(lanes + 2), Signal(lanes + 2)
        m.submodules.synchronizer = cdc.FFSynchronizer(self.rx, pins)
        # Data and frame pin as they were in the cycle in which the strobe was first seen changed.
        changed = Signal()
        m.d.sync += [last_pins.eq(pins), changed.eq(pins[lanes] ^ last_pins[lanes])]
        data, frame = last_pins[:lanes], last_pins[lanes + 1]

        # Cells of the frame so far; 0: none has begun.
        number = Signal(range(cells))
        body, crc = Signal(body_cells * lanes), Signal(CRC_BITS)
        at_last, first, complete, broken = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            at_last.eq(number == cells - 1),
            first.eq(frame & ~at_last),
            Cat(self.header, self.word).eq(body),
        ]
        m.d.sync += [
            complete.eq(0),
            self.good.eq(complete & (crc == 0)),
            self.bad.eq(broken | (complete & (crc != 0))),
            broken.eq(0),
        ]
        # A frame that is being checked must not change; no cell follows so soon.
        with m.If(changed & self.enable & ~complete):
            m.d.sync += crc.eq(_crc_of(Mux(first, CRC_START, crc), data))
            with m.If(first | (number < body_cells)):
                m.d.sync += body.eq(Cat(body[lanes:], data))
            with m.If(first):
                # If it is in the middle of another, that one has lost some cells. A single cell may be the end of one that is counted.
                m.d.sync += [number.eq(1), broken.eq(number > 1)]
            with m.Elif(at_last):
                m.d.sync += [number.eq(0), complete.eq(frame), broken.eq(~frame)]
            with m.Elif(number != 0):
                m.d.sync += number.eq(number + 1)
        return m
