"""Boards as far as compiler and driver need them: geometries that their parts hold, clock, serial port. Pins live in ``spikeloom.boards``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import ConfigError
from spikeloom.arch.lif import Lif


@dataclass(frozen=True, slots=True)
class BoardGeometry:
    """A board's default geometries, and its speeds.

    Parameters
    ----------
    name : str
        Name in commands.
    title : str
        Maker's name of the board, and its part.
    fabric : str
        Key of ``spikeloom.hdl.fabric.FABRICS``.
    clock_mhz : float
        Clock of the core.
    baud : int
        Bits per second of the serial port.
    cores : dict of int to CoreConfig
        Default core by weight bits; the first one is the board's default.
    axon_divisor : int
        Where neurons have more state than those of the default, so many times fewer axons leave room for it.
    """

    name: str
    title: str
    fabric: str
    clock_mhz: float
    baud: int
    cores: Mapping[int, CoreConfig]
    axon_divisor: int = 1

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
        return ChipConfig(cores=(core,))


#: UP5K: 30 block RAMs of 4 kbit and four of 256 kbit for the weights, which give 64 bits per cycle.
_ICEBREAKER = BoardGeometry(
    name="icebreaker",
    title="1BitSquared iCEBreaker (iCE40UP5K)",
    fabric="ice40-up",
    clock_mhz=39.0,
    baud=3_000_000,
    axon_divisor=2,
    cores={
        8: CoreConfig(
            axons=1024,
            neurons=256,
            weight_bits=8,
            lanes=8,
            weight_words=16384,
            models=(Lif(state_bits=22, refractory_bits=4),),
            accumulator_bits=16,
            levels=4,
        ),
        4: CoreConfig(
            axons=512,
            neurons=256,
            weight_bits=4,
            lanes=16,
            weight_words=16384,
            models=(Lif(state_bits=22, refractory_bits=4),),
            accumulator_bits=12,
            levels=4,
        ),
    },
)

#: LFE5U-85F: 208 block RAMs of 18 kbit.
_ULX3S = BoardGeometry(
    name="ulx3s",
    title="Radiona ULX3S (ECP5 LFE5U-85F)",
    fabric="ecp5",
    clock_mhz=75.0,
    baud=3_000_000,
    cores={
        8: CoreConfig(axons=2048, neurons=1024, weight_bits=8, lanes=32, weight_words=8192, destinations=2048),
        4: CoreConfig(axons=2048, neurons=1024, weight_bits=4, lanes=64, weight_words=8192, destinations=2048),
    },
)

BOARDS = {board.name: board for board in (_ICEBREAKER, _ULX3S)}


def board_geometry(name: str) -> BoardGeometry:
    """The board of that name.

    Raises
    ------
    ConfigError
        If there is none; the message lists the names.
    """
    try:
        return BOARDS[name]
    except KeyError:
        raise ConfigError(f"no board is called {name!r}; there are {', '.join(BOARDS)}") from None
