"""Boards as far as compiler and driver need them: geometries that their parts hold, clock, serial port. Pins live in ``spikeloom.boards``.

Described in ``docs/boards.md``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.lif import Lif
from spikeloom.arch.platforms import Platform, find_platform


@dataclass(frozen=True, slots=True)
class BoardGeometry:
    """A board's default geometries, and its speeds.

    Parameters
    ----------
    name : str
        Name in commands.
    title : str
        Maker's name of the board, and its part.
    part : str
        The part, as ``amaranth-boards`` names it.
    fabric : str
        Key of ``spikeloom.hdl.fabric.FABRICS``.
    clock_mhz : float
        Clock of the core.
    baud : int
        Bits per second of the serial port.
    bridge : str
        What is between the serial port and the host, and which rates it can do.
    cores : dict of int to CoreConfig
        Default core by weight bits; the first one is the board's default.
    axon_divisor : int
        Where neurons have more state than those of the default, so many times fewer axons leave room for it.
    encoder : str
        What the default chip's encoder can do, as in ``ChipConfig``.
    """

    name: str
    title: str
    part: str
    fabric: str
    clock_mhz: float
    baud: int
    bridge: str
    cores: Mapping[int, CoreConfig]
    axon_divisor: int = 1
    encoder: str = ""

    def chip(self, weight_bits: int | None = None, *, current: bool = False, adaptation: bool = False) -> ChipConfig:
        """The default chip for a weight width.

        Parameters
        ----------
        weight_bits : int or None
            None: the board's default.
        current, adaptation : bool
            Whether neurons have a synaptic current, and an adaptive threshold, each as wide as the potential.

        Raises
        ------
        ConfigError
            If the board has no geometry of that width.
        """
        bits = next(iter(self.cores)) if weight_bits is None else weight_bits
        if bits not in self.cores:
            widths = " or ".join(str(width) for width in self.cores)
            raise ConfigError(f"{self.name} has no geometry with {bits}-bit weights; choose {widths}")
        core = self.cores[bits]
        if current or adaptation:
            (model,) = core.models
            assert isinstance(model, Lif)
            width = model.state_bits
            model = dataclasses.replace(model, current_bits=width if current else 0, adaptation_bits=width if adaptation else 0)
            core = dataclasses.replace(core, models=(model,), axons=core.axons // self.axon_divisor)
        return ChipConfig(cores=(core,), encoder=self.encoder)


@dataclass(frozen=True, slots=True)
class Part:
    """What a part holds, whatever the board around it.

    Parameters
    ----------
    fabric : str
        Key of ``spikeloom.hdl.fabric.FABRICS``.
    clock_mhz : float
        Clock for boards that nobody has measured: what the slowest of the measured ones with this part reaches, less a reserve.
    cores : dict of int to CoreConfig
        Default core by weight bits.
    axon_divisor, encoder
        See :class:`BoardGeometry`.
    """

    fabric: str
    clock_mhz: float
    cores: Mapping[int, CoreConfig]
    axon_divisor: int = 1
    encoder: str = ""


_UP5K_NEURON = Lif(state_bits=22, refractory_bits=4)
#: UP5K: 30 block RAMs of 4 kbit and four of 256 kbit for the weights, which give 64 bits per cycle.
_UP5K = Part(
    fabric="ice40-up",
    clock_mhz=30.0,
    axon_divisor=2,
    encoder="phase",
    cores={
        8: CoreConfig(
            axons=1024,
            neurons=256,
            weight_bits=8,
            lanes=8,
            weight_words=16384,
            models=(_UP5K_NEURON,),
            accumulator_bits=16,
            levels=4,
        ),
        4: CoreConfig(
            axons=512,
            neurons=256,
            weight_bits=4,
            lanes=16,
            weight_words=16384,
            models=(_UP5K_NEURON,),
            accumulator_bits=12,
            levels=4,
        ),
    },
)

_ICE40_NEURON = Lif(state_bits=20, refractory_bits=4)
#: HX8K and LP8K: 32 block RAMs of 4 kbit for everything, no multipliers. A block has 16 bits for each of its 256 words, so the width of a
#: memory counts more than its depth, and few lanes leave more of them for weights.
_HX8K = Part(
    fabric="ice40",
    clock_mhz=60.0,
    encoder="phase",
    cores={
        8: CoreConfig(
            axons=256,
            neurons=128,
            weight_bits=8,
            lanes=4,
            weight_words=1536,
            models=(_ICE40_NEURON,),
            accumulator_bits=16,
            levels=4,
        ),
        4: CoreConfig(
            axons=256,
            neurons=256,
            weight_bits=4,
            lanes=8,
            weight_words=1024,
            models=(_ICE40_NEURON,),
            accumulator_bits=12,
            levels=4,
        ),
    },
)


def _ecp5(
    clock_mhz: float, axons: int, neurons: int, lanes: int, weight_words: int, destinations: int, narrow_sums: int | None = None
) -> Part:
    """8-bit weights, and 4-bit weights with twice the lanes: the weight memory is the same.

    The sums of twice the lanes take more block RAMs, unless they have fewer bits (``narrow_sums``).
    """
    return Part(
        fabric="ecp5",
        clock_mhz=clock_mhz,
        encoder="rate",
        cores={
            bits: CoreConfig(
                axons=axons,
                neurons=neurons,
                weight_bits=bits,
                lanes=8 * lanes // bits,
                weight_words=weight_words,
                destinations=destinations,
                accumulator_bits=narrow_sums if bits == 4 else None,
            )
            for bits in (8, 4)
        },
    )


#: Block RAMs of 18 kbit: 32, 56, 108 and 208. The maker sells the smallest with 12 thousand LUTs and 32 block RAMs, though the tools
#: find a 25F in it.
_ECP5_12F = _ecp5(75.0, axons=512, neurons=256, lanes=8, weight_words=3072, destinations=512)
_ECP5_25F = _ecp5(75.0, axons=1024, neurons=512, lanes=16, weight_words=4096, destinations=1024, narrow_sums=12)
_ECP5_45F = _ecp5(75.0, axons=2048, neurons=1024, lanes=16, weight_words=8192, destinations=2048, narrow_sums=12)
_ECP5_85F = _ecp5(75.0, axons=2048, neurons=1024, lanes=32, weight_words=8192, destinations=2048)

PARTS = {
    "iCE40UP5K": _UP5K,
    "iCE40HX8K": _HX8K,
    "iCE40LP8K": dataclasses.replace(_HX8K, clock_mhz=48.0),
    **{
        f"{family}-{size}": part
        for size, part in {"12F": _ECP5_12F, "25F": _ECP5_25F, "45F": _ECP5_45F, "85F": _ECP5_85F}.items()
        for family in ("LFE5U", "LFE5UM", "LFE5UM5G")
        # The smallest has no transceivers.
        if (family, size) not in (("LFE5UM", "12F"), ("LFE5UM5G", "12F"))
    },
}
#: For families whose bitstreams only their makers' tools can make. None of their clocks was ever measured, and the smallest have 50 block
#: RAMs of 18 kbit.
_VENDOR = Part(fabric="generic", clock_mhz=50.0, cores=_ECP5_12F.cores)

#: Rates of a high-speed FTDI chip: 12, 8 and 6 Mbaud, then 12 Mbaud divided by eighths (FTDI AN_120, section 3).
_FT2232H = "FT2232H: 12, 8, 6, 4.8, 4 Mbaud ..."
_FT231X = "FT231X: 3 Mbaud at most (its data sheet, section 1)"
_ADAPTER = "an adapter of your own, 3.3 V; 3 Mbaud is the limit of FT232R and FT231X"


def _board(name: str, title: str, device: str, part: Part, clock_mhz: float, baud: int, bridge: str) -> BoardGeometry:
    """A board with the defaults of its part."""
    return BoardGeometry(name, title, device, part.fabric, clock_mhz, baud, bridge, part.cores, part.axon_divisor, part.encoder)


def _listed(name: str, title: str, device: str, clock_mhz: float, baud: int, bridge: str) -> BoardGeometry:
    return _board(name, title, device, PARTS[device], clock_mhz, baud, bridge)


BOARDS = {
    board.name: board
    for board in (
        # A loop makes multiples of 0.75 MHz from 12 MHz. The next with a rate above 3 Mbaud is 39.75 MHz, which the design does not meet.
        _listed("icebreaker", "1BitSquared iCEBreaker (iCE40UP5K)", "iCE40UP5K", 36.0, 6_000_000, _FT2232H),
        _listed("upduino-v3", "tinyVision.ai UPduino v3 (iCE40UP5K)", "iCE40UP5K", 33.0, 3_000_000, _ADAPTER),
        _listed("ice40-hx8k-b-evn", "Lattice iCE40-HX8K breakout (iCE40HX8K)", "iCE40HX8K", 72.0, 12_000_000, _FT2232H),
        _listed("tinyfpga-bx", "TinyFPGA BX (iCE40LP8K)", "iCE40LP8K", 57.0, 3_000_000, _ADAPTER),
        _listed("ulx3s-12f", "Radiona ULX3S (ECP5 LFE5U-12F)", "LFE5U-12F", 90.0, 3_000_000, _FT231X),
        _listed("ulx3s-25f", "Radiona ULX3S (ECP5 LFE5U-25F)", "LFE5U-25F", 90.0, 3_000_000, _FT231X),
        _listed("ulx3s-45f", "Radiona ULX3S (ECP5 LFE5U-45F)", "LFE5U-45F", 90.0, 3_000_000, _FT231X),
        _listed("ulx3s", "Radiona ULX3S (ECP5 LFE5U-85F)", "LFE5U-85F", 75.0, 3_000_000, _FT231X),
        _listed("ecp5-5g-evn", "Lattice ECP5-5G evaluation board (LFE5UM5G-85F)", "LFE5UM5G-85F", 108.0, 12_000_000, _FT2232H),
        _listed("ecpix5", "LambdaConcept ECPIX-5 (LFE5UM5G-85F)", "LFE5UM5G-85F", 108.0, 12_000_000, _FT2232H),
        _listed("orangecrab-r0-2", "OrangeCrab r0.2 (ECP5 LFE5U-25F)", "LFE5U-25F", 120.0, 3_000_000, _ADAPTER),
    )
}
#: Rate of boards that are not listed: what every common bridge can do.
OTHER_BAUD = 1_000_000
#: Rates at which a board may answer, the fastest first.
RATES = sorted({OTHER_BAUD, *(board.baud for board in BOARDS.values())}, reverse=True)


def board_geometry(name: str) -> BoardGeometry:
    """The board of that name, ``-`` and ``_`` being the same: one that is listed, or any other that ``amaranth-boards`` knows.

    Raises
    ------
    ConfigError
        If there is none, or it cannot hold a core or has no serial port; the message says which.
    """
    listed = BOARDS.get(name.lower().replace("_", "-"))
    return listed if listed is not None else _other(find_platform(name, BOARDS))


def _other(platform: Platform) -> BoardGeometry:
    """A board that nobody has measured, with the defaults of its part."""
    if platform.family == "xilinx7":
        part = _VENDOR
    elif platform.device in PARTS:
        part = PARTS[platform.device]
    else:
        raise ConfigError(
            f"{platform.name} has a part for which there is no default geometry, {platform.device}; there is one for iCE40UP5K, "
            "iCE40HX8K, iCE40LP8K and ECP5"
        )
    title = f"{platform.name} of amaranth-boards ({platform.device})"
    return _board(platform.name, title, platform.device, part, part.clock_mhz, OTHER_BAUD, "unknown")
