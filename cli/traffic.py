"""``spikeloom traffic``: tables and a picture of what a run sent where. Described in ``docs/traffic.md``."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from spikeloom.arch.config import SIDES
from spikeloom.cli.console import print_table
from spikeloom.host.traffic import Traffic
from spikeloom.network.image import write_whole

mpl.use("Agg")  # files only, no window
from matplotlib import pyplot as plt
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.patches import FancyArrow, Rectangle
from matplotlib.ticker import MaxNLocator

#: Columns and rows of the largest mesh that is drawn core by core; a larger one becomes a heat map.
DETAILED = 8
#: Columns and rows of the largest mesh whose links carry their number.
NUMBERED = 4
#: Cores and links of the tables; of more cores or links the busiest are listed.
TABLE_CORES, TABLE_LINKS = 64, 10
#: Side of a core in the picture, where cores are 1 apart; distance of the two directions from the middle; widths of an arrow.
SIDE, APART, THINNEST, WIDEST = 0.56, 0.13, 0.012, 0.085
INK, PALE = "#222222", "#c9c9c9"
#: Cores in blues, links in oranges and browns, both from light to dark: told apart and ordered with any colour vision, and in grey.
ACTIVITY = ListedColormap(mpl.colormaps["Blues"](np.linspace(0.03, 0.95, 256)))
LOAD = ListedColormap(mpl.colormaps["YlOrBr"](np.linspace(0.35, 1.0, 256)))
LOAD_MAP = mpl.colormaps["YlOrBr"].with_extremes(bad=PALE)


# Tables ---------------------------------------------------------------------------------------------------------------


def traffic_tables(traffic: Traffic) -> None:
    """Totals, cores, and the links with most packets."""
    ticks, links = traffic.ticks, traffic.links
    link, load = traffic.worst()
    tick = int(load.argmax())
    busiest = "no packet crossed a link" if load[tick] == 0 else f"{load[tick]}, {links.name(link[tick])}, in tick {tick}"
    print_table(
        f"Traffic of {traffic.samples} sample{'s' if traffic.samples > 1 else ''} of {ticks // traffic.samples} ticks",
        ("quantity", "total"),
        [
            ("spikes", int(traffic.spikes.sum())),
            ("packets of neurons", int(traffic.sent.sum())),
            ("of these to the host", int(traffic.outputs.sum())),
            ("events from the host", int(traffic.events.sum())),
            ("hops per packet", f"{traffic.average_hops:.2f}"),
            ("crossings of chip borders", traffic.crossings),
            ("most packets on a link in a tick", busiest),
        ],
    )
    cores = np.arange(len(traffic.config.cores))
    title = "Cores"
    if len(cores) > TABLE_CORES:
        cores = np.sort(np.argsort(-traffic.spikes.sum(axis=0), kind="stable")[:TABLE_CORES])
        title = f"The {TABLE_CORES} most active of {len(traffic.config.cores)} cores"
    columns = (
        "core",
        "column",
        "row",
        "neurons",
        "spikes",
        "spikes per tick",
        "packets out",
        "packets in",
        "to the host",
        "events in",
    )
    totals = [values.sum(axis=0) for values in (traffic.spikes, traffic.sent, traffic.received, traffic.outputs, traffic.events)]
    rows = []
    for core in cores.tolist():
        spikes, *others = (int(values[core]) for values in totals)
        place, neurons = traffic.config.place(core), traffic.config.cores[core].neurons
        rows.append((core, *place, neurons, spikes, f"{spikes / ticks:.2f}", *others))
    print_table(title, columns, rows)
    if not len(links):
        return
    packets, peak = traffic.packets.sum(axis=0), traffic.peak
    order = np.argsort(-packets, kind="stable")[:TABLE_LINKS]
    print_table(
        f"The busiest {len(order)} of {len(links)} links",
        ("link", "chip border", "packets", "packets per tick", "most in a tick"),
        [
            (links.name(k), "yes" if links.border[k] else "no", int(packets[k]), f"{packets[k] / ticks:.2f}", int(peak[k]))
            for k in order.tolist()
        ],
    )


# Picture --------------------------------------------------------------------------------------------------------------


def draw_traffic(traffic: Traffic, path: Path) -> None:
    """Write the picture: activity of the cores and load of the links; an existing file is replaced at once or not at all.

    Parameters
    ----------
    traffic : Traffic
    path : Path
        PNG file.

    Raises
    ------
    ImageError
        If the file cannot be written.
    """
    activity = traffic.spikes.mean(axis=0).reshape(traffic.config.rows, traffic.config.columns)
    load = traffic.packets.mean(axis=0)
    if max(activity.shape) <= DETAILED:
        figure = _cores(traffic, activity, load)
    else:
        figure = _heat_maps(traffic, activity, load)
    figure.suptitle(_title(traffic), fontsize=12)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, bbox_inches="tight", pad_inches=0.15, metadata={"Software": None})
    plt.close(figure)
    write_whole(path, buffer.getvalue())


def _title(traffic: Traffic) -> str:
    config = traffic.config
    cores = f"{config.columns} x {config.rows} cores" if len(config.cores) > 1 else "one core"
    chips = config.chips_across * config.chips_down
    first = f"{cores}{f' on {chips} chips' if chips > 1 else ''}, {traffic.ticks:,} ticks"
    return f"{first}\n{traffic.sent.sum():,} packets, {traffic.average_hops:.2f} hops on average"


def _scale(values: npt.NDArray[Any]) -> Normalize:
    """From 0 to the largest value; to 1 where everything is 0."""
    return Normalize(0, float(values.max(initial=0)) or 1)


def _number(value: float) -> str:
    """Three digits at most before the point, one or two behind it."""
    return f"{value:.0f}" if value >= 100 or value == 0 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _cores(traffic: Traffic, activity: npt.NDArray[Any], load: npt.NDArray[Any]) -> Any:
    """Core by core, each direction of each link an arrow."""
    rows, columns = activity.shape
    cell = 1.7 if max(rows, columns) <= NUMBERED else 1.25
    figure, axes = plt.subplots(figsize=(max(6.0, cell * columns + 3.2), max(3.6, cell * rows + 1.4)), layout="compressed")
    scale = _scale(activity)
    size = 11 if cell > 1.5 else 9
    hosts = {traffic.config.host_core(core) for core in range(rows * columns)}
    for core in range(rows * columns):
        x, y = traffic.config.place(core)
        colour = ACTIVITY(scale(activity[y, x]))
        axes.add_patch(Rectangle((x - SIDE / 2, y - SIDE / 2), SIDE, SIDE, facecolor=colour, edgecolor=INK, linewidth=1.0))
        ink = "white" if np.dot(colour[:3], (0.299, 0.587, 0.114)) < 0.5 else INK
        lines: dict[str, Any] = {"ha": "center", "va": "center", "color": ink}
        axes.text(x, y - 0.15, f"core {core}", fontsize=size - 2, **lines)
        axes.text(x, y + 0.03, _number(activity[y, x]), fontsize=size + 1, weight="bold", **lines)
        if core in hosts:
            axes.text(x, y + 0.19, f"to host {_number(traffic.outputs[:, core].mean())}", fontsize=size - 2.5, **lines)
    loads = _scale(load)
    for k, value in enumerate(load.tolist()):
        _arrow(axes, traffic, k, value, loads, numbered=max(rows, columns) <= NUMBERED)
    _borders(axes, traffic)
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), aspect="equal")
    axes.axis("off")
    bar: dict[str, Any] = {"ax": axes, "pad": 0.02, "shrink": 0.8, "aspect": 25}
    if columns > 2 * rows:
        bar |= {"location": "bottom", "shrink": 0.5, "aspect": 40}
    figure.colorbar(ScalarMappable(scale, ACTIVITY), label="core: spikes per tick", **bar)
    if len(load):
        figure.colorbar(ScalarMappable(loads, LOAD), label="link: packets per tick", **bar)
    else:
        axes.text(0, 0.42, "one core: no links", ha="center", va="center", fontsize=size, color=INK)
    return figure


def _arrow(axes: Any, traffic: Traffic, link: int, value: float, scale: Normalize, *, numbered: bool) -> None:
    """A link from the edge of its core to the edge of the next one, on the right-hand side of its way."""
    config, links = traffic.config, traffic.links
    x0, y0 = config.place(int(links.source[link]))
    x1, y1 = config.place(int(links.destination[link]))
    dx, dy = x1 - x0, y1 - y0
    x, y = x0 + dx * SIDE / 2 - dy * APART, y0 + dy * SIDE / 2 + dx * APART
    length = 1 - SIDE
    share = scale(value)
    width = THINNEST + (WIDEST - THINNEST) * share if value else THINNEST
    colour = LOAD(share) if value else PALE
    head: dict[str, Any] = {"head_width": width + 0.07, "head_length": 0.11, "length_includes_head": True}
    axes.add_patch(FancyArrow(x, y, dx * length, dy * length, width=width, color=colour, linewidth=0, **head))
    if numbered and value:
        outward = 0.105
        at = x + dx * length / 2 - dy * outward, y + dy * length / 2 + dx * outward
        box: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
        turn = 90 if dy else 0
        axes.text(*at, _number(value), fontsize=7.5, color=INK, ha="center", va="center", rotation=turn, bbox=box, zorder=4)


def _borders(axes: Any, traffic: Traffic) -> None:
    """Dashed lines between chips."""
    config = traffic.config
    line: dict[str, Any] = {"color": INK, "linewidth": 1.4, "linestyle": (0, (4, 3)), "zorder": 3}
    for chip in range(1, config.chips_across):
        axes.axvline(chip * config.columns // config.chips_across - 0.5, **line)
    for chip in range(1, config.chips_down):
        axes.axhline(chip * config.rows // config.chips_down - 0.5, **line)


def _heat_maps(traffic: Traffic, activity: npt.NDArray[Any], load: npt.NDArray[Any]) -> Any:
    """Cores as one map, links as one map for each direction."""
    rows, columns = activity.shape
    places: Any = [["cores", "north", "east"], ["cores", "south", "west"]]
    height = float(np.clip(5.5 * rows / columns, 3.5, 7.0)) + 1.5
    figure, axes = plt.subplot_mosaic(places, width_ratios=(2, 1, 1), figsize=(13, height), layout="constrained")
    aspect = "equal" if max(rows, columns) <= 4 * min(rows, columns) else "auto"
    frame: dict[str, Any] = {"aspect": aspect, "interpolation": "nearest"}
    shown = axes["cores"].imshow(activity, cmap=ACTIVITY, norm=_scale(activity), **frame)
    axes["cores"].set(title="cores", xlabel="column", ylabel="row")
    figure.colorbar(shown, ax=axes["cores"], label="spikes per tick", shrink=0.8)
    loads = _scale(load)
    for side, name in enumerate(SIDES):
        chosen = traffic.links.side == side
        table = np.full(rows * columns, np.nan)
        table[traffic.links.source[chosen]] = load[chosen]
        shown = axes[name].imshow(table.reshape(rows, columns), cmap=LOAD_MAP, norm=loads, **frame)
        axes[name].set_title(f"links to the {name}")
    figure.colorbar(shown, ax=[axes[name] for name in SIDES], label="packets per tick", shrink=0.8)
    for each in axes.values():
        each.tick_params(labelsize=8)
        each.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
        each.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
        _borders(each, traffic)
    return figure
