"""What a board has besides its part: lights, a button, an oscillator; from the resources of its ``amaranth-boards`` platform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spikeloom.arch.errors import ConfigError
from spikeloom.arch.platforms import INTERNAL_CLOCKS


def _pins(platform: Any, resources: Sequence[Any], whole: Any) -> set[str]:
    """Names of pins as the part has them, whatever connector they are on."""
    found: set[str] = set()
    for part in resources:
        if hasattr(part, "ios"):
            found |= _pins(platform, part.ios, whole)
        elif hasattr(part, "map_names"):
            found |= set(part.map_names(platform._conn_pins, whole))
        else:
            found |= _pins(platform, (part.p, part.n), whole)
    return found


def pins_of(platform: Any, name: str, number: int = 0) -> set[str]:
    """Pins of a resource."""
    resource = platform.lookup(name, number)
    return _pins(platform, resource.ios, resource)


def _free(platform: Any, name: str, number: int) -> bool:
    """Whether a board has that resource, and its pins are not those of the serial port, as on some boards with few pins."""
    return (name, number) in platform.resources and not pins_of(platform, name, number) & pins_of(platform, "uart")


def lights(platform: Any) -> list[Any]:
    """Ports of up to two lights, numbered ones first; of a light with colours, green and blue."""
    ports: list[Any] = []
    for name, number in (("led", 0), ("led", 1), ("rgb_led", 0)):
        if len(ports) < 2 and _free(platform, name, number):
            light = platform.request(name, number, dir="-")
            ports += [light.g, light.b] if name == "rgb_led" else [light]
    return ports[:2]


def button(platform: Any) -> Any | None:
    """Port of the first button, if the board has one."""
    return platform.request("button", 0, dir="-") if _free(platform, "button", 0) else None


def oscillator(platform: Any) -> tuple[str, float]:
    """Resource and frequency (MHz) of the board's oscillator.

    Where the platform prefers the oscillator inside the part, which is not exact enough for a serial port, it is the board's own.

    Raises
    ------
    ConfigError
        If the board has none.
    """
    if platform.default_clk not in INTERNAL_CLOCKS:
        return platform.default_clk, platform.default_clk_frequency / 1e6
    for (name, number), resource in platform.resources.items():
        if number == 0 and resource.clock is not None:
            return name, resource.clock.frequency / 1e6
    raise ConfigError(f"the board has no oscillator but that inside its part, {platform.default_clk}, which is too inexact")
