"""Tables of the commands."""

from __future__ import annotations

from typing import Any

from spikeloom.cli.console import print_table, warn
from spikeloom.network.image import Image


def image_tables(image: Image) -> None:
    """What went where, how well the numbers could be kept, and what is left."""
    notes: dict[str, Any] = dict(image.notes)
    quality = {row["population"]: row for row in notes.get("quantisation", [])}
    rows = []
    for name in dict.fromkeys(piece.name for piece in image.populations):
        report, pieces = quality[name], image.pieces(name)
        places = [f"{piece.core}: {piece.first}-{piece.first + piece.size - 1}" for piece in pieces]
        rows.append(
            (
                name,
                ", ".join(places).removeprefix("0: " if len(image.config.cores) == 1 else ""),
                pieces[0].level,
                f"{100 * report['weight_error']:.2f} %",
                report["saturated"],
                report["largest_threshold"],
                f"{report['retention_error']:.1e}",
            )
        )
    where = "neurons" if len(image.config.cores) == 1 else "core: neurons"
    columns = ("population", where, "level", "weight error", "saturated", "largest threshold", "decay error")
    print_table("Placement and quantisation (weight error: RMS of the change over RMS of the weights)", columns, rows)
    described = notes.get("populations", {})
    if described:
        print_table("What the import assumed", ("population", "time step, decay and gain"), list(described.items()))
    ports = [("input", p.name, f"{p.first}-{p.first + p.size - 1}") for p in image.inputs]
    ports += [("output", p.name, f"{p.first}-{p.first + p.size - 1}") for p in image.outputs]
    print_table("Columns of the spike arrays", ("direction", "population", "columns"), ports)
    print_table(
        "Resources of the core" if len(image.config.cores) == 1 else "Resources of the chip",
        ("resource", "needed", "available", "used"),
        [(n["what"], n["needed"], n["available"], f"{100 * n['needed'] / n['available']:.0f} %") for n in notes.get("verdict", [])],
    )
    mesh_tables(image)
    activity = notes.get("activity", [])
    if activity:
        print_table(
            "Spikes on the samples, in real numbers and in the integers of the core",
            ("population", "real", "integer", "equal", "potentials saturated"),
            [(row["population"], row["real"], row["integer"], f"{100 * row['equal']:.2f} %", row["saturated"]) for row in activity],
        )


def mesh_tables(image: Image) -> None:
    """What each core of a mesh uses, and what the placement saves; nothing for a single core."""
    notes: dict[str, Any] = dict(image.notes)
    if "cores" not in notes:
        return
    pieces: dict[int, list[str]] = {}
    for piece in image.populations:
        size = image.population_size(piece.name)
        part = "" if piece.size == size else f" {piece.offset}-{piece.offset + piece.size - 1}"
        pieces.setdefault(piece.core, []).append(f"{piece.name}{part}")
    names = ("neurons", "axons", "weight_words", "destinations")
    print_table(
        "Cores: used of available",
        ("core", "column", "row", "populations", *(name.replace("_", " ") for name in names)),
        [
            (
                line["core"],
                line["column"],
                line["row"],
                ", ".join(pieces.get(line["core"], [])),
                *(f"{line[name]} of {line[f'{name}_available']}" for name in names),
            )
            for line in notes["cores"]
        ],
    )
    placement = notes["placement"]
    print_table(
        f"Placement: {placement['packets']:.0f} packets {placement['packets_are']}",
        ("packets", "placed", "row by row"),
        [
            ("hops of a packet, on average", f"{placement['hops']:.2f}", f"{placement['hops_row_by_row']:.2f}"),
            ("over the busiest link", f"{placement['worst_link']:.0f}", f"{placement['worst_link_row_by_row']:.0f}"),
            ("over borders between chips", f"{placement['border_packets']:.0f}", f"{placement['border_packets_row_by_row']:.0f}"),
        ],
    )


def report_warnings(image: Image) -> None:
    """Warnings of the compiler, on standard error."""
    for text in image.notes.get("warnings", []):
        warn(text)


def build_tables(report: dict[str, Any]) -> None:
    """Resources and timing of a bitstream."""
    names = {
        "lut": "LUT (iCE40: logic cells)",
        "ff": "flip-flops",
        "ram": "block RAM",
        "spram": "single-port RAM",
        "dsp": "multipliers",
        "lut_ram": "LUT RAM cells",
    }
    rows = [
        (names[kind], used, report["available"][kind], f"{100 * used / report['available'][kind]:.0f} %")
        for kind, used in report["used"].items()
        if report["available"][kind]
    ]
    print_table(f"{report['board']}: resources", ("resource", "used", "available", "share"), rows)
    print_table(
        "Timing",
        (
            "clock of the core (MHz)",
            "highest clock, routed (MHz)",
            "seed",
            "cycles of an idle tick",
            "of each event with a full row",
        ),
        [
            (
                f"{report['clock_mhz']:g}",
                report["fmax_mhz"],
                report["seed"],
                report["cycles"]["idle_tick"],
                report["cycles"]["event_of_a_full_row"],
            )
        ],
    )
