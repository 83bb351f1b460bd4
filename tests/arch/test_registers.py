from __future__ import annotations

import re

import pytest
from hypothesis import given

from spikeloom.arch import registers
from spikeloom.arch.adex import AdEx
from spikeloom.arch.config import DELAY_BITS, ChipConfig, CoreConfig
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.lif import Lif
from spikeloom.arch.registers import REGISTERS, Access, Address, Status, constants
from tests.helpers import core_configs


def test_every_address_has_one_register_of_its_name() -> None:
    assert [(register.address, register.name) for register in REGISTERS] == [(address.value, address.name) for address in Address]


def test_register_addresses_never_change() -> None:
    assert {address.name: address.value for address in Address} == {
        "IDENT": 0, "VERSION": 1, "GEOMETRY": 2, "STATUS": 3, "CLEAR": 4, "RUN": 5, "EVENT": 6, "OUTPUTS": 7, "TICK": 8,
        "LINK_ERRORS": 9, "PERIOD": 10, "OVERRUNS": 11, "MISROUTED": 12, "MESH_ERRORS": 13, "MESH_REPEATS": 14, "READOUT": 15,
        "GEOMETRY_0": 16, "GEOMETRY_1": 17, "GEOMETRY_2": 18, "GEOMETRY_3": 19, "GEOMETRY_4": 20, "GEOMETRY_5": 21,
        "SETTLED": 22, "BUILD": 23, "ENCODE_AT": 24, "ENCODE_STEPS": 25, "ENCODE_INDEX": 26, "ENCODE_SEED": 27, "INTENSITY": 28, "CLOCK": 29,
    }  # fmt: skip


def test_status_codes_never_change() -> None:
    assert [status.name for status in sorted(Status)] == [
        "OK",
        "BUSY",
        "BAD_ADDRESS",
        "BAD_OPERATION",
        "BAD_LENGTH",
        "BAD_SEQUENCE",
        "STOPPED",
    ]
    assert list(Status) == list(range(7))


def test_exactly_the_constant_registers_have_a_constant() -> None:
    named = {register.address for register in REGISTERS if register.access is Access.CONSTANT}
    assert set(constants(ChipConfig(cores=(CoreConfig(),)))) == named


def test_ident_spells_loom_least_significant_byte_first() -> None:
    # "L" = 0x4C, "O" = 0x4F, "M" = 0x4D
    assert constants(ChipConfig(cores=(CoreConfig(),)))[Address.IDENT] == 0x4D4F4F4C


def _check_constants(config: CoreConfig) -> None:
    chip = ChipConfig(cores=(config,))
    words = constants(chip)
    assert all(0 <= word < 2**32 for word in words.values())
    assert words[Address.VERSION] == 0x0005_0000
    assert words[Address.GEOMETRY] == chip.geometry_id
    assert words[Address.GEOMETRY_0].to_bytes(4, "little") == config.axons.to_bytes(2, "little") + config.neurons.to_bytes(
        2, "little"
    )
    assert tuple(words[Address.GEOMETRY_1].to_bytes(4, "little")) == (
        config.weight_bits,
        config.lanes,
        config.pipelines,
        len(config.models),
    )
    assert words[Address.GEOMETRY_2] == config.weight_words
    assert divmod(words[Address.GEOMETRY_3], 2**16) == (config.parameter_sets, config.destinations)
    accumulator, flags, *spare = words[Address.GEOMETRY_4].to_bytes(4, "little")
    assert accumulator == config.accumulator_bits
    assert flags == (config.sets is not None) + 2 * config.stochastic_synapses
    assert spare == [0, 0]
    assert words[Address.GEOMETRY_5] == 0x0101


def test_build_and_clock_have_a_register() -> None:
    chip = ChipConfig(cores=(CoreConfig(),))
    words = constants(chip)
    assert (words[Address.BUILD], words[Address.CLOCK]) == (0, 0)
    words = constants(chip, build=0xDEAD_BEEF, clock_khz=48_000)
    assert (words[Address.BUILD], words[Address.CLOCK]) == (0xDEAD_BEEF, 48_000)


@pytest.mark.parametrize(("encoder", "number"), [("", 0), ("phase", 1), ("rate", 2)])
def test_what_the_encoder_can_do_has_two_bits(encoder: str, number: int) -> None:
    assert constants(ChipConfig(cores=(CoreConfig(),), encoder=encoder))[Address.GEOMETRY_5] == number << 21 | 0x0101


def test_the_output_window_shows_the_memory_twice_and_lies_behind_all_registers() -> None:
    assert 2 * registers.OUTPUT_WINDOW_WORDS * registers.ENTRY_BITS == 2 * 16 * registers.OUTPUT_ENTRIES
    assert max(Address) < registers.OUTPUT_WINDOW
    assert registers.OUTPUT_WINDOW % registers.OUTPUT_WINDOW_WORDS == 0


def test_mesh_and_links_have_a_register() -> None:
    mesh = ChipConfig(cores=(CoreConfig(),) * 6, columns=3, rows=2, payload=True, chips_across=3)
    assert [constants(mesh.tile(number))[Address.GEOMETRY_5] for number in range(3)] == [0x12_0201, 0x1A_0201, 0x18_0201]


@given(core_configs())
def test_geometry_registers_can_be_taken_apart_again(config: CoreConfig) -> None:
    _check_constants(config)


def test_largest_geometry_fits_its_registers() -> None:
    _check_constants(
        CoreConfig(
            axons=8192, neurons=8192, weight_bits=16, lanes=64, pipelines=16, sets=8192, weight_words=2**14, destinations=2**15,
            models=(Lif(), Izhikevich(), AdEx()),
        )
    )  # fmt: skip
    _check_constants(CoreConfig(axons=8192, neurons=8192, weight_bits=1, lanes=128, stochastic_synapses=True, weight_words=2**17))
    _check_constants(CoreConfig(axons=8192, neurons=8192, weight_bits=1, stochastic_synapses=True, weight_words=2**19))


@pytest.mark.parametrize(
    ("name", "pattern", "low", "high"),
    [
        ("EVENT", r"bits (\d+)-(\d+): axon", 0, registers.EVENT_AXON_BITS - 1),
        (
            "EVENT",
            r"bits (\d+)-(\d+): core",
            registers.EVENT_AXON_BITS + DELAY_BITS,
            registers.EVENT_AXON_BITS + DELAY_BITS + registers.EVENT_CORE_BITS - 1,
        ),
        ("PERIOD", r"bits (\d+)-(\d+): least clock", 0, registers.PERIOD_BITS - 1),
        ("RUN", r"bits (\d+)-(\d+): ticks", 0, registers.MAX_RUN.bit_length() - 1),
        ("OUTPUTS", r"bits (\d+)-(\d+): entries written", 0, registers.ENTRY_BITS - 1),
        ("OUTPUTS", r"bits (\d+)-(\d+): those taken", 16, 31),
        ("ENCODE_STEPS", r"bits (\d+)-(\d+): first step", 0, registers.ENCODE_STEP_BITS - 1),
        ("ENCODE_STEPS", r"bits (\d+)-(\d+): steps", registers.ENCODE_STEP_BITS, registers.ENCODE_STEP_BITS + DELAY_BITS - 1),
        ("INTENSITY", r"in bits (\d+)-(\d+)", 0, registers.INTENSITY_BITS - 1),
        ("GEOMETRY_5", r"bits (\d+)-(\d+): encoder", 22, 21),
    ],
)
def test_described_bits_are_those_of_the_code(name: str, pattern: str, low: int, high: int) -> None:
    meaning = next(register.meaning for register in REGISTERS if register.name == name)
    found = re.search(pattern, meaning)
    assert found is not None
    assert sorted(map(int, found.groups())) == sorted((low, high))
