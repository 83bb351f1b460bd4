"""The driver and a simulated board with all that can happen to the line between them: results are right, or an error says what it was."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from spikeloom.arch.errors import LinkError
from spikeloom.arch.registers import Address
from spikeloom.host.bus_chip import BusChip
from spikeloom.host.feed import SpikeFeed
from spikeloom.host.framed_bus import MOST_WINDOW, FramedBus
from spikeloom.host.golden_chip import GoldenChip
from spikeloom.host.serial_chip import open_serial
from spikeloom.sim.compiled_top import CompiledTop
from spikeloom.sim.faults import CONFIG, DIVISOR, KINDS, Campaign, FaultyLine, campaign_image, simulated_time
from spikeloom.sim.virtual import VirtualBoard

IMAGE = campaign_image(3, 1)
SPIKES = (np.random.default_rng(1).random((12, 14, IMAGE.input_size)) < 0.3).astype(np.int64)
LOST_TRACK = (
    "^the faulty line lost track of the requests: it was reset or switched off, or another program talks to it; open it again$"
)


def check(chip: BusChip) -> None:
    """Results, counters and state are those of the golden chip: no event was lost or came twice."""
    golden = GoldenChip(IMAGE)
    np.testing.assert_array_equal(chip.run(SPIKES), golden.run(SPIKES))
    for name, values in golden.counters().items():
        assert chip.counters()[name].tolist() == values.tolist(), name
    for name, values in golden.state().items():
        np.testing.assert_array_equal(chip.state()[name], values, err_msg=name)


@pytest.fixture(scope="module")
def top() -> Iterator[CompiledTop]:
    """A board for all tests that do not switch it off: opening it anew is enough."""
    board = CompiledTop(CONFIG, DIVISOR)
    yield board
    board.close()


@pytest.fixture
def line(top: CompiledTop) -> Iterator[FaultyLine]:
    """A line without faults of its own."""
    faultless = FaultyLine(top, 1, 0.0)
    with simulated_time(faultless, 1):
        yield faultless


def in_the_middle(line: FaultyLine, after: int, action) -> None:
    """Do something when the driver listens to the line for the so-manieth time from now on."""
    receive, left = line.receive, after

    def counted(seconds: float) -> bytes:
        nonlocal left
        left -= 1
        if left == 0:
            action()
        return receive(seconds)

    line.receive = counted


# The campaign ----------------------------------------------------------------------------------------------------------------


def test_a_line_with_many_faults_loses_nothing_and_does_nothing_twice():
    """Every byte has four chances of 1e-3 to be hit, in both directions."""
    campaign = Campaign(seed=11)
    difference, figures = campaign.run(800)
    campaign.line.close()
    assert difference is None, difference
    assert figures.commands >= 800
    assert min(figures.faults[kind] for kind in KINDS) > 120
    assert min(figures.ticks, figures.spikes) > 150
    assert figures.events > 2500
    # The driver and the link had to do something about it.
    assert figures.repeats > 150
    assert figures.link_errors > 250
    assert figures.interrupted > 8


def test_the_campaign_finds_a_driver_that_reads_again_what_was_overwritten(monkeypatch):
    monkeypatch.setattr(FramedBus, "_spoilt", staticmethod(lambda under_way: False))
    campaign = Campaign(seed=1)
    difference, _ = campaign.run(1500)
    campaign.line.close()
    assert difference is not None
    assert difference.startswith("command ")


def test_the_campaign_finds_a_driver_that_writes_twice(monkeypatch):
    """It gives requests that it sends again new numbers, as if the answer had been BUSY."""

    def send_anew(bus, under_way):
        bus.hello()
        for sent in under_way:
            old = sent.request
            anew = bus._number(old.operation, old.address, old.count, old.data, sent.ends, sent.overwrites)
            sent.request, sent.line = anew.request, anew.line
        bus.stream.send(b"".join(sent.line for sent in under_way))

    monkeypatch.setattr(FramedBus, "_send_again", send_anew)
    campaign = Campaign(seed=1)
    difference, _ = campaign.run(1500)
    campaign.line.close()
    assert difference is not None
    assert difference.startswith("command ")


def test_a_seed_repeats_everything():
    results = []
    for _ in range(2):
        campaign = Campaign(seed=5)
        results.append(campaign.run(60))
        campaign.line.close()
    assert results[0] == results[1]
    assert results[0][1].repeats > 10


def test_the_command_refuses_senseless_numbers():
    result = subprocess.run(
        [sys.executable, "-m", "spikeloom.sim.faults", "--commands", "0"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "--commands must be at least 1" in result.stderr


# The line --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [1, 7])
def test_a_line_that_is_cut_for_a_while_costs_only_time(line, after):
    chip = BusChip(FramedBus(line), IMAGE)
    in_the_middle(line, after, lambda: line.cut(0.0, 2.0))
    before = line.monotonic()
    check(chip)
    assert line.monotonic() - before > 2
    assert chip.bus.repeats >= 6


def test_a_line_that_stays_cut_ends_in_an_error_and_the_board_answers_when_it_is_back(line):
    chip = BusChip(FramedBus(line), IMAGE)
    in_the_middle(line, 7, lambda: line.cut(0.0, 60.0))
    with pytest.raises(LinkError, match=r"^the faulty line did not answer within 6\.0 s; is it a spikeloom board[^\n]*$"):
        chip.run(SPIKES)
    line.cut(0.0, 0.0)
    # The same driver can go on, and so can a new one.
    check(chip)
    check(BusChip(FramedBus(line), IMAGE))


@pytest.mark.parametrize("after", [1, 4, 7])
def test_a_board_that_was_reset_is_noticed_and_works_when_it_is_opened_anew(line, after):
    """Its memories are empty: to go on would give wrong spikes."""

    def switch_off_and_on():
        line.board = CompiledTop(CONFIG, DIVISOR)

    chip = BusChip(FramedBus(line), IMAGE)
    in_the_middle(line, after, switch_off_and_on)
    # As often as one tries.
    for _ in range(2):
        with pytest.raises(LinkError, match=LOST_TRACK):
            chip.run(SPIKES)
    check(BusChip(FramedBus(line), IMAGE))


def test_a_board_that_was_reset_while_the_line_was_cut_is_noticed(line):
    def switch_off_and_on():
        line.cut(0.0, 1.0)
        line.board = CompiledTop(CONFIG, DIVISOR)

    chip = BusChip(FramedBus(line), IMAGE)
    in_the_middle(line, 7, switch_off_and_on)
    with pytest.raises(LinkError, match=LOST_TRACK):
        chip.run(SPIKES)


@pytest.mark.parametrize("kind", ["random", "zeros", "delimiters", "escapes"])
def test_garbage_on_the_line_does_no_harm(line, kind):
    """Both ways, with a session under way, and before one."""
    garbage = {"random": np.random.default_rng(8).bytes(20_000), "zeros": bytes(4000)}.get(
        kind, (b"\xc0" if kind == "delimiters" else b"\xdb") * 4000
    )
    chip = BusChip(FramedBus(line), IMAGE)
    errors = int(chip.bus.read(Address.LINK_ERRORS, 1)[0])
    in_the_middle(line, 7, lambda: [way.put(garbage, line.monotonic()) for way in (line.there, line.back)])
    check(chip)
    if kind == "random":
        # A delimiter in 256 bytes.
        assert int(chip.bus.read(Address.LINK_ERRORS, 1)[0]) > errors + 40
    line.send(garbage)
    check(BusChip(FramedBus(line), IMAGE))


def test_more_requests_than_the_link_can_hold_do_no_harm(line):
    """While long ticks run, the ring fills up, and frames are thrown away."""
    bus = FramedBus(line)
    chip = BusChip(bus, IMAGE)
    bus.write(Address.PERIOD, np.array([6_000], np.uint32))
    chip._paced = True
    bus.window = MOST_WINDOW
    outputs = np.zeros((12, 14, IMAGE.output_size), np.bool_)
    chip._counters, chip._others = [], []
    feeds = (SpikeFeed(IMAGE, sample.astype(np.bool_), 1) for sample in SPIKES)
    errors = int(bus.read(Address.LINK_ERRORS, 1)[0])
    chip._run_ahead(feeds, 15, 15 * (IMAGE.output_size + 1), outputs, None)
    np.testing.assert_array_equal(outputs, GoldenChip(IMAGE).run(SPIKES))
    assert [sample[0]["ticks"] for sample in chip._counters] == [15] * 12
    assert int(bus.read(Address.LINK_ERRORS, 1)[0]) > errors


# A serial port ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def board() -> Iterator[VirtualBoard]:
    with VirtualBoard(CONFIG, DIVISOR) as hardware:
        yield hardware


#: Runs samples for ever.
DRIVER = """
import sys
import numpy as np
from spikeloom.host.serial_chip import open_serial
from spikeloom.sim.faults import campaign_image
chip = open_serial(sys.argv[1], campaign_image(3, 1))
print("runs", flush=True)
while True:
    chip.run(np.ones((50, 14, 16)))
"""


def test_a_driver_that_was_killed_leaves_a_board_that_works(board):
    for wait in (0.0, 0.1):
        driver = subprocess.Popen([sys.executable, "-c", DRIVER, board.port], stdout=subprocess.PIPE, text=True)
        assert driver.stdout is not None
        assert driver.stdout.readline() == "runs\n"
        time.sleep(wait)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        driver.stdout.close()
        with open_serial(board.port, IMAGE) as chip:
            check(chip)


def test_another_program_on_the_same_port_is_kept_out_and_one_that_comes_in_anyway_changes_no_result(board):
    with open_serial(board.port, IMAGE) as chip:
        with pytest.raises(LinkError, match=r"^/dev/\S+ is in use by another program; close that first$"):
            open_serial(board.port, IMAGE)
        check(chip)
        # A program that asks nobody, such as cat, takes answers away and sends something of its own.
        intruder = os.open(board.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        stopped = threading.Event()

        def steal() -> None:
            rng = np.random.default_rng(1)
            while not stopped.wait(0.02):
                try:
                    os.read(intruder, 20)
                except BlockingIOError:
                    os.write(intruder, rng.bytes(3))

        thief = threading.Thread(target=steal)
        thief.start()
        told, end = "", time.monotonic() + 30
        try:
            # Until it has hit something.
            while not chip.bus.repeats and time.monotonic() < end:
                check(chip)
        except LinkError as error:
            # Where the intruder takes the last byte between the system's notice and the read, the port looks unplugged; on a busy
            # machine it takes the answers to all repetitions.
            told = str(error)
        finally:
            stopped.set()
            thief.join()
            os.close(intruder)
        if not told:
            assert chip.bus.repeats > 0
            check(chip)
            return
    unplugged = r"/dev/\S+ went away; is the board still there\? \([^\n]*multiple access on port\?\)\)"
    silent = r"/dev/\S+ did not answer within 0\.5 s; is it a spikeloom board, with its bitstream loaded, and at this speed\?"
    assert re.fullmatch(f"{unplugged}|{silent}", told), told
    with open_serial(board.port, IMAGE) as anew:
        check(anew)


def test_a_board_that_is_unplugged_in_a_run_is_named(board):
    chip = open_serial(board.port, IMAGE)
    with pytest.raises(LinkError, match=rf"^{board.port} (went away|takes no more bytes); is the board still there\? [^\n]*$"):
        chip.run(SPIKES, progress=lambda done, total: board.close() if done == 3 else None)
    chip.close()
