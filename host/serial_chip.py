"""A board on a serial port. Described in ``docs/driver.md``."""

from __future__ import annotations

from spikeloom.arch.boards import RATES, board_geometry
from spikeloom.arch.image import LoadableImage
from spikeloom.host.bus_chip import BusChip
from spikeloom.host.chip import Progress
from spikeloom.host.ports import find_port, open_bus


def open_serial(port: str, image: LoadableImage, baud: int | None = None, progress: Progress | None = None) -> BusChip:
    """The board behind a port, loaded with an image.

    Parameters
    ----------
    port : str
        Name of the port, a URL that pyserial knows, or "auto": the only port behind which such a chip answers.
    image : LoadableImage
        What to load.
    baud : int
        Bits per second; by default those of the image's board, or if it names none, those of all boards one after the other.
    progress : callable
        Called while it is loaded, with words done and their total.

    Raises
    ------
    ConfigError
        If there is no such port, or "auto" finds none or several.
    LinkError
        If nothing answers there, or something else than a spikeloom chip.
    ImageError
        If the chip has another geometry, or speaks another protocol. Nothing was changed on it.
    """
    rates = [baud] if baud else [board_geometry(image.board).baud] if image.board else RATES
    if port == "auto":
        port = find_port(rates, image.config.geometry_id)
    bus = open_bus(port, rates)
    try:
        return BusChip(bus, image, progress=progress)
    except BaseException:
        bus.close()
        raise
