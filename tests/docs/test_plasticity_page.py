"""The example of ``docs/plasticity.md`` runs, and learns."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

import spikeloom

PAGE = Path(__file__).parents[2] / "docs" / "plasticity.md"


def test_the_example_learns(tmp_path: Path, monkeypatch) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks[0], str(PAGE), "exec"), {})
    learned = spikeloom.open("golden", spikeloom.Image.load("learned.loom"))
    assert len(np.unique(learned.state()["core0.weights"])) > 10
