"""The examples of ``docs/plasticity.md`` run, and learn."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikeloom

PAGE = Path(__file__).parents[2] / "docs" / "plasticity.md"


@pytest.fixture(scope="module")
def blocks() -> list[str]:
    found = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(found) == 2
    return found


def test_the_network_learns_what_the_page_says(blocks: list[str]) -> None:
    names: dict[str, Any] = {}
    exec(compile(blocks[0], str(PAGE), "exec"), names)
    means = names["learned"].reshape(2, 8, 2).mean(axis=1)
    # Each half of the lines has one neuron of its own.
    first = int(means[0].argmax())
    assert min(means[0, first], means[1, 1 - first]) > 0.9
    assert max(means[1, first], means[0, 1 - first]) < 0.1


def test_the_arrays_learn(blocks: list[str], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks[1], str(PAGE), "exec"), {})
    learned = spikeloom.open("golden", spikeloom.Image.load("learned.loom"))
    assert len(np.unique(learned.state()["core0.weights"])) > 10
