"""Errors a user can cause, each one clear line: what was wrong, the limit, the remedy."""

from __future__ import annotations


class SpikeloomError(Exception):
    """Base of every error that the command line prints as one line instead of a traceback.

    ``exit_code`` is what the ``spikeloom`` command returns: 1 for work that failed, 2 for bad arguments.
    """

    exit_code = 1


class ConfigError(SpikeloomError, ValueError):
    """A geometry, board or option outside its legal range."""

    exit_code = 2


class NetworkError(SpikeloomError, ValueError):
    """A network that cannot be read, described or translated."""


class CapacityError(SpikeloomError):
    """A network that is sound but does not fit the chosen geometry."""


class ImageError(SpikeloomError, ValueError):
    """An image that is damaged, of another version, or made for another geometry."""


class InputError(SpikeloomError, ValueError):
    """Input spikes of the wrong shape or with values other than 0 and 1, or events out of range."""


class ToolError(SpikeloomError, RuntimeError):
    """An external program (simulator, synthesis, place and route) that is missing or failed."""


class LinkError(SpikeloomError, RuntimeError):
    """A board or bus that did not answer, or answered with an error status."""
