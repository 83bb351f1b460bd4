"""What the target's memories look like: choices that change size and clock, never a result."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Fabric:
    """Memory resources of an FPGA family.

    Parameters
    ----------
    name : str
        For reports.
    spram : bool
        Weights live in the iCE40 UltraPlus' single-port 256-kbit memories (``SB_SPRAM256KA``).
    lut_ram_depth : int
        Accumulator memories up to this depth are built from LUT RAM; 0: the family has none.
    slow_block_ram : bool
        A block RAM's output needs a register of its own before any logic (ECP5: 5.6 ns from clock to output).
    block_ram_depth : int
        Most words of a block RAM. A deeper weight memory is read in parts, with a register before the choice between them; 0: never.
    poison_collisions : bool
        Simulation only: a word that is read in the very cycle in which it is written comes back inverted. Block RAMs leave this
        case undefined, so a design that still equals the golden model does not depend on it.
    """

    name: str
    spram: bool = False
    lut_ram_depth: int = 0
    slow_block_ram: bool = False
    block_ram_depth: int = 0
    poison_collisions: bool = False


GENERIC = Fabric(name="generic")
ICE40 = Fabric(name="ice40")
ICE40_ULTRAPLUS = Fabric(name="ice40-up", spram=True)
ECP5 = Fabric(name="ecp5", lut_ram_depth=8, slow_block_ram=True, block_ram_depth=16384)

FABRICS = {fabric.name: fabric for fabric in (GENERIC, ICE40, ICE40_ULTRAPLUS, ECP5)}
