"""spikeloom: weaves a spiking neural network into a low-cost FPGA, and proves that the chip computes the same spikes as the model."""

from __future__ import annotations

from contextlib import suppress as _suppress
from importlib.metadata import version as _version
from pathlib import Path as _Path
from typing import TYPE_CHECKING as _TYPE_CHECKING

__version__ = _version("spikeloom")

# The rooms are folders at the root of the repository, reached by symbolic links. A checkout without links finds them there directly.
_HERE = _Path(__file__).resolve().parent
if not (_HERE / "arch").is_dir() and (_HERE.parent / "arch").is_dir():  # pragma: no cover
    __path__.append(str(_HERE.parent))

from spikeloom.arch.config import ChipConfig, CoreConfig  # noqa: E402
from spikeloom.arch.errors import SpikeloomError, ToolError  # noqa: E402
from spikeloom.arch.image import LoadableImage  # noqa: E402
from spikeloom.arch.learning import Learning  # noqa: E402
from spikeloom.host.chip import Chip  # noqa: E402
from spikeloom.host.fast_chip import FastGoldenChip  # noqa: E402
from spikeloom.host.golden_chip import GoldenChip  # noqa: E402
from spikeloom.host.traffic import Traffic, traffic  # noqa: E402
from spikeloom.network import encode  # noqa: E402
from spikeloom.network.adex import AdExCell  # noqa: E402
from spikeloom.network.compile import compile_network as compile  # noqa: A004, E402
from spikeloom.network.description import FixedCell, IF_curr_delta, Network, Neurons  # noqa: E402
from spikeloom.network.image import Image  # noqa: E402
from spikeloom.network.izhikevich import IzhikevichCell, QuadraticCell  # noqa: E402
from spikeloom.network.learned import learned_weights  # noqa: E402
from spikeloom.network.mapped import CoreArrays, image_from_arrays  # noqa: E402
from spikeloom.network.nir_import import read_nir  # noqa: E402
from spikeloom.network.plasticity import Plasticity, ShortTerm  # noqa: E402

if _TYPE_CHECKING:
    from spikeloom.hdl.fabric import Fabric
    from spikeloom.host.chip import Progress

__all__ = [
    "AdExCell",
    "Chip",
    "ChipConfig",
    "CoreArrays",
    "CoreConfig",
    "FixedCell",
    "IF_curr_delta",
    "Image",
    "IzhikevichCell",
    "Learning",
    "Network",
    "Neurons",
    "Plasticity",
    "QuadraticCell",
    "ShortTerm",
    "SpikeloomError",
    "Traffic",
    "__version__",
    "compile",
    "encode",
    "image_from_arrays",
    "learned_weights",
    "open",
    "read_nir",
    "traffic",
]


def open(  # noqa: A001
    kind: str,
    image: LoadableImage,
    *,
    fabric: Fabric | None = None,
    baud: int | None = None,
    progress: Progress | None = None,
) -> Chip:
    """A chip with a loaded image.

    Parameters
    ----------
    kind : str
        "golden": the golden model; its fast engine where there is a C++ compiler, else numpy. "rtl": the generated Verilog in a compiled
        simulator (the first call compiles it). "virtual": the whole board, simulated, with the real driver on a serial port. "auto": the
        board that answers on one of the USB serial ports. Anything else is the name of a serial port, for example "/dev/ttyUSB1".
    image : Image
        What to load.
    fabric : Fabric
        For "rtl" and "virtual": target whose memories are built in; by default that of the image's board.
    baud : int
        For a serial port: bits per second; by default those of the image's board.
    progress : callable
        Called while a chip is loaded over a serial port, with words done and their total.

    Raises
    ------
    ConfigError
        If the kind is unknown, and there is no such port.
    LinkError
        If a board does not answer.
    ImageError
        If it has another geometry than the image, or speaks another protocol.
    """
    if kind == "golden":
        with _suppress(ToolError):
            return FastGoldenChip(image)
        return GoldenChip(image)
    if kind == "rtl":
        from spikeloom.sim.rtl_bus import open_rtl

        return open_rtl(image, fabric)
    if kind == "virtual":
        from spikeloom.sim.virtual import open_virtual

        return open_virtual(image, fabric, progress)
    from spikeloom.host.serial_chip import open_serial

    return open_serial(kind, image, baud, progress)
