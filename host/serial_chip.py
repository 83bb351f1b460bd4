"""A board on a serial port. Described in ``docs/driver.md``."""

from __future__ import annotations

from spikeloom.arch.boards import BOARDS
from spikeloom.arch.image import LoadableImage
from spikeloom.host.bus_chip import BusChip
from spikeloom.host.framed_bus import FramedBus
from spikeloom.host.stream import open_port

#: Bits per second where nothing else is said: that of all boards so far.
BAUD = 3_000_000


def open_serial(port: str, image: LoadableImage, baud: int | None = None) -> BusChip:
    """The board behind a port, loaded with an image.

    Parameters
    ----------
    port : str
        Name of the port, or a URL that pyserial knows.
    image : LoadableImage
        What to load.
    baud : int
        Bits per second; by default those of the image's board.

    Raises
    ------
    ConfigError
        If there is no such port.
    LinkError
        If nothing answers there, or something else than a spikeloom chip.
    ImageError
        If the chip has another geometry, or speaks another protocol. Nothing was changed on it.
    """
    board = BOARDS.get(image.board)
    bus = FramedBus(open_port(port, baud or (board.baud if board else BAUD)))
    try:
        return BusChip(bus, image)
    except BaseException:
        bus.close()
        raise
