from __future__ import annotations

import pytest

from spikeloom.arch import errors
from spikeloom.arch.errors import SpikeloomError

ALL = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]


def test_every_error_can_be_caught_as_one() -> None:
    assert len(ALL) == 8
    assert [kind for kind in ALL if not issubclass(kind, SpikeloomError)] == []


@pytest.mark.parametrize("kind", ALL)
def test_only_bad_arguments_exit_with_2(kind: type[SpikeloomError]) -> None:
    assert kind.exit_code == (2 if kind is errors.ConfigError else 1)
