"""Fabrics: every board and every synthesis family has one."""

from __future__ import annotations

import dataclasses

from spikeloom.arch.boards import BOARDS
from spikeloom.boards.flow import SYNTHESIS
from spikeloom.hdl.fabric import FABRICS, GENERIC


def test_fabrics_are_found_by_their_names():
    assert all(fabric.name == name for name, fabric in FABRICS.items())


def test_every_board_and_synthesis_family_has_a_fabric():
    assert {board.fabric for board in BOARDS.values()} <= FABRICS.keys()
    assert SYNTHESIS.keys() <= FABRICS.keys()


def test_no_fabric_poisons_memories_outside_simulation():
    assert not any(fabric.poison_collisions for fabric in FABRICS.values())


def test_the_generic_fabric_asks_for_nothing():
    assert dataclasses.asdict(GENERIC) == {
        "name": "generic",
        "spram": False,
        "lut_ram_depth": 0,
        "slow_block_ram": False,
        "block_ram_depth": 0,
        "poison_collisions": False,
    }
