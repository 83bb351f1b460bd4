"""Moves flip-flops behind block RAMs of the ECP5 into the RAMs' output registers. Described in ``docs/build.md``."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from spikeloom.arch.errors import ToolError

RAM = "DP16KD"
FLIP_FLOP = "TRELLIS_FF"
MULTIPLIER = "MULT18X18D"
#: Data pins of one port.
PINS = 18
#: Width of a port that takes the data pins of both.
WIDE = 36
#: What a flip-flop is known by. One that has more, such as a choice of its data input, is in a mode that is not looked into.
PARAMETERS = {"CLKMUX", "CEMUX", "LSRMUX", "REGSET", "SRMODE", "GSR"}

Netlist = dict[str, Any]
Cell = dict[str, Any]
#: A wire's number, or a constant: ``"0"``, ``"1"``, ``"x"``, ``"z"``.
Bit = int | str


class Registers(NamedTuple):
    """Flip-flops that an output register can replace: name by the pin before it, and their enable."""

    flip_flops: dict[str, str]
    enable: Bit


class Obstacle(StrEnum):
    """Why the flip-flops behind a port stay where they are."""

    #: A bit of the port has two loads, for example a second register or an output of the design.
    LOADS = "a bit with several loads"
    #: The load of a bit is not the data input of a flip-flop.
    LOGIC = "a bit that goes into logic or out"
    #: A flip-flop is set, reset or starts with 1; or it has parameters besides the known ones.
    RESET = "a set, a reset or another mode"
    #: An enable is inverted or constant.
    ENABLE = "an enable that is inverted"
    #: The flip-flops differ in clock, edge or enable.
    MIXED = "different clocks or enables"
    #: Their clock or edge is not the port's.
    CLOCK = "another clock than the port's"
    #: A flip-flop feeds a multiplier. Both RAMs and multipliers have fixed places: the flip-flop between them halves the way.
    MULTIPLIER = "a multiplier behind the register"
    #: The reset of the port, which would reset its output register too.
    PORT_RESET = "a reset of the port"


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of the outputs of a design's block RAMs.

    Parameters
    ----------
    flip_flops : int
        Flip-flops that are gone.
    words : int
        Ports whose output register took their place; a word of 36 bits counts once.
    left : dict
        Ports that stayed as they were, by obstacle.
    """

    flip_flops: int = 0
    words: int = 0
    left: Mapping[Obstacle, int] = field(default_factory=dict)

    def __str__(self) -> str:
        left = ", ".join(f"{count} for {obstacle}" for obstacle, count in self.left.items())
        return f"{self.flip_flops} flip-flops moved into the output registers of {self.words} ports of block RAMs; left: {left or 'none'}"


def rewrite(path: Path, log: Path) -> Moved:
    """Use the output registers of the block RAMs of a netlist.

    Parameters
    ----------
    path : Path
        Netlist of the ECP5 in yosys' JSON format, replaced as a whole.
    log : Path
        Text file to which a line is added that says what was moved.

    Raises
    ------
    ToolError
        If a file cannot be read or written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        netlist, moved = use_output_registers(json.loads(path.read_text()))
        with log.open("a") as file:
            file.write(f"\n{moved}\n")
        if moved.flip_flops:
            part.write_text(json.dumps(netlist))
            part.replace(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ToolError(f"{path} cannot be rewritten or {log} not be added to: {reason}") from error
    finally:
        part.unlink(missing_ok=True)
    return moved


def use_output_registers(netlist: Netlist) -> tuple[Netlist, Moved]:
    """A netlist in which the output registers of block RAMs take the place of the flip-flops behind them.

    Parameters
    ----------
    netlist : dict
        In yosys' JSON format, after ``synth_ecp5``. It is not changed.

    Returns
    -------
    netlist : dict
        The same circuit with fewer flip-flops.
    moved : Moved
        What was done.
    """
    flip_flops = words = 0
    left: Counter[Obstacle] = Counter()
    modules = {}
    for name, module in netlist["modules"].items():
        cells, loads = dict(module["cells"]), _loads(module)
        gone = set()
        for ram_name, ram in module["cells"].items():
            if ram["type"] != RAM:
                continue
            for sides in _words(ram):
                found = _registers(ram, sides, loads, module["cells"])
                if isinstance(found, Obstacle):
                    left[found] += 1
                elif found:
                    gone |= {_bit(ram, pin) for pin in found.flip_flops}
                    outputs = {pin: cells.pop(load)["connections"]["Q"] for pin, load in found.flip_flops.items()}
                    cells[ram_name] = _registered(cells[ram_name], sides, outputs, found.enable)
                    flip_flops += len(outputs)
                    words += 1
        modules[name] = {**module, "cells": cells, "netnames": _without(module["netnames"], gone)} if gone else module
    return {**netlist, "modules": modules}, Moved(flip_flops, words, left)


def _loads(module: Netlist) -> dict[Bit, list[tuple[str, str]]]:
    """Cell and pin of all loads of each wire; an output of the module has no cell."""
    loads: dict[Bit, list[tuple[str, str]]] = defaultdict(list)
    for name, cell in module["cells"].items():
        directions = cell.get("port_directions", {})
        for pin, bits in cell["connections"].items():
            if directions.get(pin) != "output":
                for bit in bits:
                    loads[bit].append((name, pin))
    for name, port in module["ports"].items():
        if port["direction"] != "input":
            for bit in port["bits"]:
                loads[bit].append(("", name))
    return {bit: ends for bit, ends in loads.items() if isinstance(bit, int)}


def _words(ram: Cell) -> tuple[str, ...]:
    """The ports of a RAM; both names together where their pins carry one word, which is read with the clock of port B."""
    widths = [ram["parameters"].get(f"DATA_WIDTH_{side}", PINS) for side in "AB"]
    wide = any((int(width, 2) if isinstance(width, str) else width) == WIDE for width in widths)
    return ("AB",) if wide else ("A", "B")


def _registers(
    ram: Cell, sides: str, loads: Mapping[Bit, list[tuple[str, str]]], cells: Mapping[str, Cell]
) -> Registers | Obstacle | None:
    """What the register of a port can replace, or why it cannot; None for a port that is not read or has its register in use."""
    if any(_parameter(ram, f"REGMODE_{side}", "NOREG") != "NOREG" for side in sides):
        return None
    found, controls = {}, set()
    for pin in (f"DO{side}{i}" for side in sides for i in range(PINS)):
        ends = loads.get(_bit(ram, pin), [])
        if len(ends) > 1:
            return Obstacle.LOADS
        for name, input_pin in ends:
            if name not in cells or cells[name]["type"] != FLIP_FLOP or input_pin != "DI":
                return Obstacle.LOGIC
            control = _control(cells[name])
            if isinstance(control, Obstacle):
                return control
            if any(load in cells and cells[load]["type"] == MULTIPLIER for load, _ in loads.get(_bit(cells[name], "Q"), [])):
                return Obstacle.MULTIPLIER
            found[pin] = name
            controls.add(control)
    if not found:
        return None
    if len(controls) > 1:
        return Obstacle.MIXED
    side = sides[-1]
    clock, inverted, enable = controls.pop()
    if (clock, inverted) != (_bit(ram, f"CLK{side}"), _parameter(ram, f"CLK{side}MUX", f"CLK{side}") == "INV"):
        return Obstacle.CLOCK
    if _parameter(ram, "GSR", "DISABLED") != "DISABLED" or any(_bit(ram, f"RST{side}", "0") != "0" for side in sides):
        return Obstacle.PORT_RESET
    return Registers(found, enable)


def _control(flip_flop: Cell) -> tuple[Bit, bool, Bit] | Obstacle:
    """Clock, whether it is inverted, and enable of a flip-flop that has nothing else."""
    clock_edge = _parameter(flip_flop, "CLKMUX", "CLK")
    resets = (
        _parameter(flip_flop, "REGSET", "RESET") != "RESET"
        or _parameter(flip_flop, "GSR", "ENABLED") != "DISABLED"
        or _parameter(flip_flop, "LSRMUX", "LSR") != "LSR"
        or _bit(flip_flop, "LSR", "0") != "0"
    )
    if resets or clock_edge not in ("CLK", "INV") or not flip_flop["parameters"].keys() <= PARAMETERS:
        return Obstacle.RESET
    mode = _parameter(flip_flop, "CEMUX", "CE")
    enable = "1" if mode == "1" else _bit(flip_flop, "CE")
    if mode not in ("1", "CE") or enable in ("0", "x", "z"):
        return Obstacle.ENABLE
    return _bit(flip_flop, "CLK"), clock_edge == "INV", enable


def _registered(ram: Cell, sides: str, outputs: Mapping[str, list[Bit]], enable: Bit) -> Cell:
    """A RAM with the output register of a port in use."""
    parameters = {**ram["parameters"], **{f"REGMODE_{side}": "OUTREG" for side in sides}}
    connections, directions = {**ram["connections"], **outputs}, dict(ram["port_directions"])
    for side in sides:
        parameters.pop(f"OCE{side}MUX", None)
        connections[f"OCE{side}"], directions[f"OCE{side}"] = [enable], "input"
    return {**ram, "parameters": parameters, "connections": connections, "port_directions": directions}


def _without(names: Mapping[str, Any], gone: set[Bit]) -> dict[str, Any]:
    """Names of wires, of which some are no more."""
    return {name: {**entry, "bits": ["x" if bit in gone else bit for bit in entry["bits"]]} for name, entry in names.items()}


def _parameter(cell: Cell, name: str, default: str) -> str:
    # yosys adds a space to a text that looks like a number, such as "1".
    return str(cell["parameters"].get(name, default)).rstrip()


def _bit(cell: Cell, pin: str, default: Bit = "x") -> Bit:
    """The wire of a pin, which may be left out or unconnected."""
    bits: list[Bit] = cell["connections"].get(pin) or [default]
    return bits[0]
