from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from spikeloom.arch.config import ENCODERS, ChipConfig, CoreConfig
from spikeloom.arch.errors import ConfigError, ImageError, InputError, LinkError
from spikeloom.arch.image import LoadableImage, PopulationMap
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import COUNTER_NAMES, regions
from spikeloom.arch.registers import PROTOCOL_VERSION, Address
from spikeloom.host import bus as bus_module
from spikeloom.host.bus import Access, Interrupted, WordsArray, event_words
from spikeloom.host.bus_chip import BusChip
from spikeloom.host.golden_chip import GoldenChip
from spikeloom.network import encode
from spikeloom.sim.faults import campaign_image
from tests.helpers import core_case, loadable, pack, relay_config, relay_contents, relay_image, wrong_output
from tests.host.fake_bus import FakeBus


def _chip(image: LoadableImage, *, check: bool = True) -> tuple[BusChip, FakeBus]:
    bus = FakeBus(image.config)
    return BusChip(bus, image, check=check), bus


def _random_spikes(*shape: int) -> npt.NDArray[np.bool_]:
    return np.random.default_rng(1).random(shape) < 0.3


def _burst(outputs: int) -> LoadableImage:
    """40 neurons fire in one tick, and share so many outputs."""
    config = CoreConfig(axons=1, neurons=40, lanes=8, models=(Lif(fraction_bits=0),))
    image = core_case(config, 0).image
    contents = {name: regions(config)[name].layout.unpack(words) for name, words in image.memories[0].items()}
    contents["weights"]["weight"][:] = 1
    contents["rows"] = {"base": np.array([0]), "start": np.array([0]), "last": np.array([4])}
    contents["firing"] = {name: np.zeros(40, np.int64) for name in contents["firing"]}
    contents["parameters"] = {name: np.zeros(40, np.int64) for name in contents["parameters"]}
    contents["own"]["bias"][:] = 0
    contents["control"]["last"][:] = 39
    contents["route_index"] = {"first": np.arange(40), "count": np.ones(40, np.int64)}
    contents["routes"] = {"kind": np.ones(40, np.int64), "delay": np.zeros(40, np.int64), "target": np.arange(40) % outputs}
    return loadable(config, pack(config, contents), output_size=outputs)


CONFIGS = [
    CoreConfig(axons=37, neurons=26, weight_bits=4, lanes=4),
    # A weight word of 8 slices, 3 delay words in 4, potential and refractory counter of 32 bits together.
    CoreConfig(axons=48, neurons=33, weight_bits=8, lanes=32, models=(Lif(state_bits=28, refractory_bits=4),)),
    CoreConfig(
        axons=16, neurons=8, weight_bits=2, lanes=1, levels=1, models=(Lif(refractory_bits=0, bias_bits=0, resets="absolute"),)
    ),
    # Every region there is.
    CoreConfig(
        axons=20, neurons=24, weight_bits=1, lanes=8, pipelines=2, sets=7, stochastic_synapses=True, models=(Izhikevich(), Lif())
    ),
]  # fmt: skip


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize(("seed", "at_once", "pipelined"), [(8, 1, 0), (11, 1, 1), (12, 1, 0), (8, 15, 0), (11, 4, 1)])
def test_chip_behind_a_bus_equals_the_golden_chip(config: CoreConfig, seed: int, at_once: int, pipelined: int) -> None:
    image = core_case(config, seed).image
    spikes = _random_spikes(3, 30, config.axons)
    chip, bus = _chip(image)
    bus.ticks_at_once, bus.pipelined = at_once, bool(pipelined)
    golden = GoldenChip(image)
    expected = golden.run(spikes)
    np.testing.assert_array_equal(chip.run(spikes), expected)
    for name, values in golden.state().items():
        np.testing.assert_array_equal(chip.state()[name], values, err_msg=name)
    counters = chip.counters()
    assert counters.pop("cycles").tolist() == [30_000] * 3
    assert {name: values.tolist() for name, values in counters.items()} == {
        name: values.tolist() for name, values in golden.counters().items()
    }
    assert counters["spikes"].all()


@pytest.mark.parametrize("config", CONFIGS)
def test_memories_hold_the_image_after_loading(config: CoreConfig) -> None:
    image = core_case(config, 3).image
    chip, _ = _chip(image)
    for name, words in image.memories[0].items():
        np.testing.assert_array_equal(chip.read_region(name), words, err_msg=name)


def test_output_answers_the_input_of_its_row() -> None:
    chip, _ = _chip(relay_image())
    assert chip.run([[1, 0], [0, 0], [1, 1], [1, 0]]).tolist() == [[True], [False], [True], [True]]


@pytest.mark.parametrize("busy_for", [1, 3])
def test_driver_waits_while_the_chip_is_busy(busy_for: int) -> None:
    image = relay_image()
    bus = FakeBus(image.config)
    bus.busy_for = busy_for
    assert BusChip(bus, image).run([[1, 0], [0, 0]]).tolist() == [[True], [False]]


def test_more_outputs_than_one_read_takes_are_all_seen() -> None:
    chip, _ = _chip(_burst(40))
    assert chip.run([[1], [0], [1]]).sum(axis=1).tolist() == [40, 0, 40]


@pytest.mark.parametrize("level", [0, 1, 3])
def test_recorded_potentials_equal_those_of_the_golden_chip(level: int) -> None:
    # Level 3 is deeper than the output (drain 1): the recording goes on after the run, state and counters do not.
    config = relay_config()
    contents = relay_contents(config)
    contents["firing"]["threshold"][1] = 9
    contents["parameters"]["retention"][:] = 3000
    contents["own"]["bias"][:] = 1
    image = relay_image(memories=(pack(config, contents),), populations=(PopulationMap("second", 0, 1, 1, level),))
    spikes = _random_spikes(2, 12, 2)
    chip, _ = _chip(image)
    golden = GoldenChip(image)
    np.testing.assert_array_equal(chip.run(spikes, record=["second"]), golden.run(spikes, record=["second"]))
    assert golden.recorded["second"].potential.all(axis=0).any()
    np.testing.assert_array_equal(chip.recorded["second"].potential, golden.recorded["second"].potential)
    assert chip.recorded["second"].spikes is None
    for name, values in golden.state().items():
        np.testing.assert_array_equal(chip.state()[name], values, err_msg=name)
    assert chip.counters()["ticks"].tolist() == [13, 13]
    # A later run without a recording shows its own state.
    chip.run(spikes[0])
    golden.run(spikes[0])
    np.testing.assert_array_equal(chip.state()["core0.membrane"], golden.state()["core0.membrane"])


def test_state_after_clear_is_the_initial_one() -> None:
    chip, _ = _chip(relay_image())
    chip.run([[1, 0]], record=["second"])
    chip.clear()
    assert not any(values.any() for values in chip.state().values())


def test_progress_is_told_after_each_sample() -> None:
    chip, _ = _chip(relay_image())
    calls: list[tuple[int, int]] = []
    chip.run(np.zeros((3, 2, 2), np.bool_), progress=lambda *done: calls.append(done))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_chip_without_counters_has_none() -> None:
    config = relay_config(counters=False)
    chip, _ = _chip(loadable(config, pack(config, relay_contents(config))))
    chip.run([[1, 0, 0]])
    assert chip.counters() == {}


def test_counters_have_the_names_of_the_memory_map() -> None:
    chip, _ = _chip(relay_image())
    assert chip.counters() == {}
    chip.run([[1, 0]])
    assert list(chip.counters()) == [*COUNTER_NAMES, "misrouted", "synaptic_operations"]


def test_lost_packets_are_counted_per_sample() -> None:
    chip, bus = _chip(relay_image())
    chip.run(np.zeros((2, 1, 2), np.bool_), progress=lambda *_: bus.registers.update({Address.MISROUTED: 7}))
    assert chip.counters()["misrouted"].tolist() == [0, 7]
    # Those of the last run only.
    chip.run([[0, 0]])
    assert chip.counters()["misrouted"].tolist() == [7]


def test_closing_the_chip_closes_the_bus() -> None:
    chip, bus = _chip(relay_image())
    with chip:
        assert not bus.closed
    assert bus.closed


@pytest.mark.parametrize(
    ("action", "what"),
    [
        (lambda chip: chip.state(), "the state cannot be read"),
        (lambda chip: chip.neuron_state(), "the state of neurons cannot be read"),
        (lambda chip: chip.run([[1, 0, 0]], record=["cells"]), "potentials cannot be recorded"),
    ],
)
def test_chip_without_readback_runs_but_says_that_it_cannot_be_looked_into(action: Callable[[BusChip], object], what: str) -> None:
    config = relay_config(readback=False)
    chip, bus = _chip(loadable(config, pack(config, relay_contents(config)), output_shift=np.array([1])))
    assert chip.run([[1, 0, 0], [0, 0, 0]]).tolist() == [[True], [False]]
    written = len(bus.writes)
    text = re.escape(
        f"{what}: the chip's geometry has readback=False, so its memories cannot be read; "
        "use a geometry with readback=True, or the golden chip"
    )
    with pytest.raises(ConfigError, match=f"^{text}$"):
        action(chip)
    # The pace is set before.
    assert set(bus.writes[written:]) <= {Address.PERIOD}


# What can be wrong with a chip ------------------------------------------------------------------------------------------------


def _wrong_ident(bus: FakeBus) -> None:
    bus.registers[Address.IDENT] = 0xDEAD


def _newer_protocol(bus: FakeBus) -> None:
    bus.registers[Address.VERSION] = PROTOCOL_VERSION + 0x0001_0003


def _other_geometry(bus: FakeBus) -> None:
    bus.registers[Address.GEOMETRY] = 0x12345678


@pytest.mark.parametrize(
    ("spoil", "kind", "message"),
    [
        (_wrong_ident, LinkError, "the answer 0x0000dead of the chip to IDENT is not that of a spikeloom chip (0x4d4f4f4c)"),
        (_newer_protocol, ImageError, "the chip speaks protocol 6.3, this driver 5.0; build the bitstream again with this version"),
        (
            _other_geometry,
            ImageError,
            "the chip has the geometry 0x12345678, the image was made for {image:#010x}; "
            "compile the network for this chip, or build the bitstream for this image",
        ),
    ],
)
def test_chip_that_does_not_fit_is_refused_and_nothing_is_written(
    spoil: Callable[[FakeBus], None], kind: type[Exception], message: str
) -> None:
    image = relay_image()
    bus = FakeBus(image.config)
    spoil(bus)
    text = re.escape(message.format(image=image.config.geometry_id))
    with pytest.raises(kind, match=f"^{text}$"):
        BusChip(bus, image)
    assert bus.writes == []


def test_chip_of_a_newer_minor_version_is_accepted() -> None:
    image = relay_image()
    bus = FakeBus(image.config)
    bus.registers[Address.VERSION] = PROTOCOL_VERSION + 5
    assert BusChip(bus, image).run([[1, 0]]).tolist() == [[True]]


def _stuck_bit(image: LoadableImage) -> FakeBus:
    """A chip whose bit 4 of slice 1 of word 1 of the firing memory reads as 1."""
    bus = FakeBus(image.config)
    bus.stuck_bits[regions(image.config.cores[0])["firing"].address(1, 1)] = 1 << 4
    return bus


def test_memory_that_does_not_hold_what_was_written_is_named() -> None:
    image = relay_image()
    # 16 bits of threshold, 16 of reset, then the refractory period in slice 1: 0 was written.
    with pytest.raises(LinkError, match=r"^core 0: firing\[1\] slice 1 holds 0x10 after 0x0 was written$"):
        BusChip(_stuck_bit(image), image)


def test_memory_is_not_read_back_without_the_check() -> None:
    image = relay_image()
    BusChip(_stuck_bit(image), image, check=False)


def test_memory_that_cannot_be_read_back_is_not_checked() -> None:
    config = relay_config(readback=False)
    image = loadable(config, pack(config, relay_contents(config)))
    BusChip(_stuck_bit(image), image)


def test_chip_that_stays_busy_before_loading_is_given_up() -> None:
    image = relay_image()
    bus = FakeBus(image.config)
    bus.busy_for = None
    message = r"^the chip was still busy after its status was read 10000 times; "
    with pytest.raises(LinkError, match=message):
        BusChip(bus, image)
    assert bus.writes == []


def test_chip_that_hangs_in_a_tick_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "POLL_LIMIT", 50)
    _, bus = _chip(relay_image())
    bus.busy_for = None
    with pytest.raises(LinkError, match=r"^the chip was still busy after 50 polls$"):
        bus.tick(event_words(np.array([0]), np.array([0])))


def test_output_of_another_tick_is_noticed() -> None:
    chip, bus = _chip(relay_image())
    bus.ticks_ahead = 4
    with pytest.raises(LinkError, match=r"^an output of tick 5 came in tick 1$"):
        chip.run([[1, 0]])


def test_output_of_a_tick_outside_those_that_were_run_is_noticed() -> None:
    chip, bus = _chip(relay_image())
    bus.ticks_at_once = 15
    bus.ticks_ahead = 4
    with pytest.raises(LinkError, match=r"^an output of tick 5 came in tick 0 to 1$"):
        chip.run([[1, 0]])


def test_output_that_the_image_does_not_have_is_refused() -> None:
    chip, _ = _chip(wrong_output())
    with pytest.raises(LinkError, match=r"^output 3 came; the image has 1 outputs$"):
        chip.run([[1, 0]])


# Words of the EVENT register -----------------------------------------------------------------------------------------------


def test_events_have_core_delay_and_axon_in_their_places() -> None:
    # Core in bits 31-20, delay in 19-16, axon in 15-0.
    words = event_words(np.array([0, 1, 4095]), np.array([2, 0, 65535]), np.array([1, 0, 15]))
    assert words.dtype == np.uint32
    assert words.tolist() == [0x0001_0002, 0x0010_0000, 0xFFFF_FFFF]
    assert event_words(np.array([3]), np.array([4])).tolist() == [0x0031_0004]
    assert len(event_words(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))) == 0


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"delay": 16}, "an event has the delay 16; it must be 0 to 15"),
        ({"delay": np.array([1, -1])}, "an event has the delay -1; it must be 0 to 15"),
        ({"axons": np.array([0, 65536])}, "an event has the axon 65536; it must be 0 to 65535"),
        ({"axons": np.array([-1, 0])}, "an event has the axon -1; it must be 0 to 65535"),
        ({"cores": np.array([0, 4096])}, "an event has the core 4096; it must be 0 to 4095"),
        ({"cores": np.array([-2, 0])}, "an event has the core -2; it must be 0 to 4095"),
    ],
)
def test_event_that_does_not_fit_its_word_is_refused(event: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"cores": np.zeros(2, np.int64), "axons": np.zeros(2, np.int64)} | event
    with pytest.raises(InputError, match=f"^{message}$"):
        event_words(**arguments)


# Counts, intensities, pace, streams ----------------------------------------------------------------------------------------


def _single(shift: int = 0, *, encoder: str = "", seed: int = 4) -> LoadableImage:
    """A lively image of a chip, in which each output belongs to one neuron."""
    image = campaign_image(seed, shift)
    return dataclasses.replace(image, config=ChipConfig(cores=image.config.cores, encoder=encoder))


class _LossyBus(FakeBus):
    """Gives up now and then what was read before something that overwrites it, as a bus with several requests under way may."""

    pipelined = True
    interrupted = 0

    def transact(self, accesses: Iterable[Access]) -> Iterator[WordsArray]:
        rng = np.random.default_rng(self.interrupted)
        read = False
        late: list[WordsArray] = []
        for access in accesses:
            if access.overwrites and read and rng.random() < 0.4:
                # It was carried out, and results before it did not come.
                self.write(access.address, access.words)
                self.interrupted += 1
                raise Interrupted
            if access.overwrites:
                yield from late
                late, read = [], False
            late += super().transact([access])
            read |= access.words is None
        yield from late


KINDS = {"one by one": FakeBus, "ahead": type("_Ahead", (FakeBus,), {"pipelined": True}), "interrupted": _LossyBus}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("shift", "ticks", "at_once"), [(0, 9, 15), (2, 9, 4), (0, 33, 15), (1, 60, 15)])
def test_counts_are_those_of_the_spikes(kind: str, shift: int, ticks: int, at_once: int) -> None:
    """60 ticks of 7 entries do not fit the output memory, so they are not run ahead."""
    image = _single(shift)
    bus = KINDS[kind](image.config)
    bus.ticks_at_once = at_once
    chip, golden = BusChip(bus, image), GoldenChip(image)
    spikes = _random_spikes(7, ticks, 16)
    expected = golden.run(spikes)
    np.testing.assert_array_equal(chip.run(spikes), expected)
    if shift == 0:
        # What comes before the row 0 is counted too, so only images like those of the compiler may be counted.
        np.testing.assert_array_equal(chip.run(spikes, counts=True), expected.sum(axis=1))
    # The readout is a queue again.
    np.testing.assert_array_equal(chip.run(spikes[0]), expected[0])
    np.testing.assert_array_equal(golden.run(spikes, counts=True), expected.sum(axis=1))
    golden.run(spikes[0])
    for name, values in golden.counters().items():
        assert chip.counters()[name].tolist() == values.tolist(), name
    if kind == "interrupted" and ticks < 30:
        assert bus.interrupted > 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("code", ENCODERS[1:])
@pytest.mark.parametrize(("ticks", "shift"), [(1, 0), (15, 2), (34, 1)])
def test_intensities_give_what_their_spikes_give(kind: str, encoder: str, code: str, ticks: int, shift: int) -> None:
    """Whether the chip makes the spikes or the driver."""
    image = _single(shift, encoder=encoder)
    bus = KINDS[kind](image.config)
    bus.ticks_at_once = 15
    chip, golden = BusChip(bus, image), GoldenChip(image)
    rng = np.random.default_rng(ticks)
    values = rng.integers(0, 256, (4, 16)) * (rng.random((4, 16)) < 0.5)
    values[1] = 0
    values[2, :4] = 255
    spikes = encode.phase(values, ticks, 255) if code == "phase" else encode.rate(values, ticks, 77, 255)
    expected = golden.run(spikes)
    np.testing.assert_array_equal(golden.run_intensities(values, ticks, code=code, seed=77), expected)
    writes = len(bus.writes)
    np.testing.assert_array_equal(chip.run_intensities(values, ticks, code=code, seed=77), expected)
    on_chip = ENCODERS.index(encoder) >= ENCODERS.index(code)
    assert (Address.INTENSITY in bus.writes[writes:]) == on_chip
    assert (Address.EVENT in bus.writes[writes:]) != on_chip
    for name, counts in golden.counters().items():
        assert chip.counters()[name].tolist() == counts.tolist(), name
    np.testing.assert_array_equal(chip.run_intensities(values[3], ticks, code="phase"), golden.run_intensities(values[3], ticks))


@pytest.mark.parametrize("kind", KINDS)
def test_the_pace_is_set_in_cycles_and_overruns_are_counted(kind: str) -> None:
    image = _single()
    bus = KINDS[kind](image.config)
    bus.registers[Address.CLOCK] = 12_000
    bus.overruns = 3
    chip = BusChip(bus, image)
    spikes = _random_spikes(3, 14, 16)
    expected = GoldenChip(image).run(spikes)
    np.testing.assert_array_equal(chip.run(spikes, tick_seconds=1e-3), expected)
    # 1 ms of 12 MHz; 14 ticks at once are one run.
    assert bus.read(Address.PERIOD, 1).tolist() == [12_000]
    assert chip.counters()["overruns"].tolist() == [3 * (14 if bus.ticks_at_once == 1 else 1)] * 3
    np.testing.assert_array_equal(chip.run(spikes), expected)
    assert bus.read(Address.PERIOD, 1).tolist() == [0]
    assert "overruns" not in chip.counters()


@pytest.mark.parametrize(
    ("clock", "tick_seconds", "message"),
    [
        (0, 1e-3, "tick_seconds is given, but the chip does not know its clock, since it is simulated without one"),
        (12_000, 1e-8, "tick_seconds is 1e-08, 0 cycles of the chip's clock; it must be 8.3e-08 to 1.4"),
        (12_000, 2.0, "tick_seconds is 2, 24000000 cycles of the chip's clock; it must be 8.3e-08 to 1.4"),
        (12_000, 0, "tick_seconds is 0; it must be above 0 and finite"),
        (12_000, -1.0, "tick_seconds is -1.0; it must be above 0 and finite"),
        (12_000, float("nan"), "tick_seconds is nan; it must be above 0 and finite"),
        (12_000, float("inf"), "tick_seconds is inf; it must be above 0 and finite"),
    ],
)
def test_a_pace_that_the_chip_cannot_keep_is_refused(clock: int, tick_seconds: float, message: str) -> None:
    chip, bus = _chip(relay_image())
    bus.registers[Address.CLOCK] = clock
    for run in (
        lambda: chip.run([[1, 0]], tick_seconds=tick_seconds),
        lambda: chip.run_intensities([1, 0], 3, tick_seconds=tick_seconds),
        lambda: list(chip.stream([[1, 0]], tick_seconds=tick_seconds)),
    ):
        with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
            run()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [1, 4, 15])
@pytest.mark.parametrize(("shift", "rows"), [(0, 1), (2, 1), (2, 40), (1, 0)])
def test_a_stream_gives_the_rows_of_a_run(kind: str, batch: int, shift: int, rows: int) -> None:
    image = _single(shift)
    bus = KINDS[kind](image.config)
    chip, golden = BusChip(bus, image), GoldenChip(image)
    spikes = _random_spikes(rows, 16)
    got = list(chip.stream(spikes, batch=batch))
    assert len(got) == rows
    assert len(list(golden.stream(spikes, batch=batch))) == rows
    if rows:
        expected = golden.run(spikes)
        np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(list(golden.stream(spikes, batch=batch)), expected)
        for name, values in golden.state().items():
            np.testing.assert_array_equal(chip.state()[name], values, err_msg=name)
    assert chip.counters()["ticks"].tolist() == golden.counters()["ticks"].tolist() == [rows + shift]


@pytest.mark.parametrize("pipelined", [False, True])
def test_a_stream_that_is_broken_off_leaves_a_chip_that_runs(pipelined: bool) -> None:
    image = _single(1)
    chip, bus = _chip(image)
    bus.pipelined = pipelined
    spikes = _random_spikes(40, 16)
    expected = GoldenChip(image).run(spikes)
    stream = chip.stream(spikes, batch=3)
    for row in range(7):
        np.testing.assert_array_equal(next(stream), expected[row])
    stream.close()
    np.testing.assert_array_equal(chip.run(spikes), expected)


def test_a_stream_answers_row_by_row() -> None:
    """Where requests are not under way together, an answer needs only the rows up to its own, and the drain."""
    image = _single(2)
    chip, _ = _chip(image)
    asked = []

    def rows() -> Iterator[npt.NDArray[np.bool_]]:
        for row in _random_spikes(20, 16):
            asked.append(row)
            yield row

    for number, _ in enumerate(chip.stream(rows(), batch=1)):
        assert len(asked) == min(20, number + 3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_longer_than_the_tick_number_of_outputs_has_bits(kind: str) -> None:
    """Axon 0 fires each tick; the tick has 15 bits."""
    image = relay_image()
    bus = KINDS[kind](image.config)
    chip = BusChip(bus, image)
    bus._core = _EveryTickCore()
    rows = ([1, 0] for _ in range(33_000))
    assert sum(int(row[0]) for row in chip.stream(rows, batch=15)) == 33_000


class _EveryTickCore:
    """Output 0 in every tick, and computes nothing."""

    ticks = 0

    def tick(self) -> tuple[None, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        self.ticks += 1
        return None, np.array([0]), np.ones((1, 1), np.bool_)

    def clear(self) -> None:
        self.ticks = 0

    def inject(self, axons: object, events: object, delay: int = 1) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name == "chip":
            return SimpleNamespace(misrouted=[0])
        return np.zeros(1, np.int64)


@pytest.mark.parametrize("batch", [0, 16, -1])
def test_a_batch_that_no_event_can_be_sent_ahead_for_is_refused(batch: int) -> None:
    chip, _ = _chip(relay_image())
    with pytest.raises(InputError, match=rf"^batch is {batch}; it must be 1 to 15$"):
        next(chip.stream([[1, 0]], batch=batch))


def _joined() -> LoadableImage:
    """Both neurons of the chain, and a third destination, send output 0, so that it may come twice in a tick."""
    config = relay_config(destinations=3)
    contents = relay_contents(config)
    contents["control"]["last"] = np.array([1, 1])
    contents["route_index"] = {"first": np.array([0, 2]), "count": np.array([2, 1])}
    contents["routes"] = {"kind": np.array([0, 1, 1]), "delay": np.array([1, 0, 0]), "target": np.array([2, 0, 0])}
    return loadable(config, pack(config, contents))


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_of_one_number_are_counted_once_a_tick(kind: str) -> None:
    image = _joined()
    spikes = np.ones((2, 5, 3), np.bool_)
    chip = BusChip(KINDS[kind](image.config), image)
    assert chip.run(spikes, counts=True).tolist() == GoldenChip(image).run(spikes, counts=True).tolist() == [[5], [5]]


def test_outputs_of_one_number_are_all_seen_when_samples_run_ahead() -> None:
    image = _burst(2)
    spikes = np.ones((2, 4, 1), np.bool_)
    assert BusChip(KINDS["ahead"](image.config), image).run(spikes).all()


class _EveryTickBus(FakeBus):
    """Sends output 0 in every tick, whose number has 15 bits, and computes nothing."""

    ticks = 0

    def tick(self, events: WordsArray, count: int = 1) -> npt.NDArray[np.int64]:
        self.ticks += count
        return np.array([[tick % 32768, 0] for tick in range(self.ticks - count, self.ticks)])


@pytest.mark.parametrize("at_once", [1, 15])
def test_run_goes_on_when_the_tick_number_of_the_outputs_wraps(at_once: int) -> None:
    image = relay_image()
    bus = _EveryTickBus(image.config)
    bus.ticks_at_once = at_once
    assert BusChip(bus, image).run(np.zeros((32770, 2), np.bool_)).all()
    assert bus.ticks == 32771
