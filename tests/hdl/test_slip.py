"""Against sliplib, and a decoder written from the rules for bytes that no encoder sends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sliplib

from spikeloom.arch.frame import SLIP_END, SLIP_ESCAPE, SLIP_ESCAPED_END, SLIP_ESCAPED_ESCAPE
from spikeloom.hdl.slip import SlipDecoder, SlipEncoder
from tests.hdl.helpers import random_ready, recorder, simulate, source

SPECIAL = [SLIP_END, SLIP_ESCAPE, SLIP_ESCAPED_END, SLIP_ESCAPED_ESCAPE]
#: A delimiter in a list of decoded bytes.
END = -1


def _messages(seed: int, count: int = 12) -> list[bytes]:
    """Messages of any length, in which every second byte has a meaning to SLIP."""
    rng = np.random.default_rng(seed)
    messages = []
    for _ in range(count):
        length = int(rng.integers(0, 14))
        values = np.where(rng.random(length) < 0.5, rng.choice(SPECIAL, length), rng.integers(0, 256, length))
        messages.append(bytes(values.tolist()))
    return messages


def _decode(line: bytes, gaps: float = 0.0) -> list[int]:
    """What the decoder makes of bytes; the output belongs to the cycle of its byte."""
    dut = SlipDecoder()
    out: list[int] = []

    async def bench(ctx: Any) -> None:
        rng = np.random.default_rng(1)
        for byte in line:
            while rng.random() < gaps:
                # What is at the input while it is not valid means nothing.
                ctx.set(dut.byte, int(rng.choice(SPECIAL)))
                ctx.set(dut.valid, 0)
                assert not ctx.get(dut.out_valid)
                await ctx.tick()
            ctx.set(dut.byte, byte)
            ctx.set(dut.valid, 1)
            if ctx.get(dut.out_valid):
                out.append(END if ctx.get(dut.out.end) else ctx.get(dut.out.byte))
            await ctx.tick()

    simulate(dut, bench, limit=10 * len(line) + 100)
    return out


@pytest.mark.parametrize("gaps", [0.0, 0.5])
def test_decoder_returns_what_sliplib_encodes(gaps: float) -> None:
    messages = _messages(1)
    line = bytes([SLIP_END])
    expected = [END]
    for message in messages:
        line += sliplib.encode(message) + bytes([SLIP_END])
        expected += [*message, END]
    assert _decode(line, gaps) == expected


def test_every_byte_passes_the_decoder() -> None:
    message = bytes(range(256))
    assert _decode(sliplib.encode(message)) == list(message)


def _by_the_rules(line: bytes) -> list[int]:
    """A byte behind an escape is what it stands for, or 0; a delimiter is one wherever it stands."""
    out, escaped = [], False
    for byte in line:
        if byte == SLIP_END:
            out.append(END)
        elif escaped:
            out.append({SLIP_ESCAPED_END: SLIP_END, SLIP_ESCAPED_ESCAPE: SLIP_ESCAPE}.get(byte, 0))
        elif byte != SLIP_ESCAPE:
            out.append(byte)
        escaped = byte == SLIP_ESCAPE and not escaped
    return out


def test_garbage_is_decoded_by_the_rules() -> None:
    rng = np.random.default_rng(2)
    line = bytes(np.where(rng.random(600) < 0.7, rng.choice(SPECIAL, 600), rng.integers(0, 256, 600)).tolist())
    expected = _by_the_rules(line)
    assert expected.count(0) > 30
    assert _decode(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ([SLIP_ESCAPE, 0x41, 0x42], [0, 0x42]),
        ([SLIP_ESCAPE, SLIP_ESCAPE, SLIP_ESCAPED_END], [0, SLIP_ESCAPED_END]),
        # A delimiter ends the frame even behind an escape, so that the receiver is in step again.
        ([SLIP_ESCAPE, SLIP_END, SLIP_ESCAPED_END], [END, SLIP_ESCAPED_END]),
        # Codes that mean something only behind an escape.
        ([SLIP_ESCAPED_END, SLIP_ESCAPED_ESCAPE], [SLIP_ESCAPED_END, SLIP_ESCAPED_ESCAPE]),
    ],
)
def test_wrong_escapes(line: list[int], expected: list[int]) -> None:
    assert _decode(bytes(line)) == expected


@pytest.mark.parametrize(("gaps", "stalls"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.6), (0.3, 0.3)])
def test_encoder_sends_what_sliplib_sends(gaps: float, stalls: float) -> None:
    dut = SlipEncoder()
    rng = np.random.default_rng(3)
    sent: list[int] = []
    messages = _messages(4)
    payloads: list[dict[str, int]] = []
    for message in messages:
        payloads += [{"byte": byte, "end": 0} for byte in message]
        # The byte beside an end means nothing.
        payloads.append({"byte": int(rng.choice(SPECIAL)), "end": 1})
    simulate(
        dut,
        source(dut.i, payloads, rng, gaps),
        watchers=[random_ready(dut.o, rng, stalls), recorder(dut.o, sent)],
        limit=5000,
    )
    assert bytes(sent) == b"".join(sliplib.encode(message) + bytes([SLIP_END]) for message in messages)


def test_every_byte_passes_the_encoder() -> None:
    dut = SlipEncoder()
    rng = np.random.default_rng(5)
    sent: list[int] = []
    payloads = [{"byte": byte, "end": 0} for byte in range(256)]
    simulate(dut, source(dut.i, payloads, rng), watchers=[random_ready(dut.o, rng, 0.2), recorder(dut.o, sent)], limit=2000)
    assert bytes(sent) == sliplib.encode(bytes(range(256)))
