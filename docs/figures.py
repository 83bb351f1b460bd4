"""Tables and sentences of measured figures, from ``bench/results/*.json``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reading import PageError, code, table

RESULTS = Path(__file__).resolve().parents[1] / "bench" / "results"
#: Peers in figures, measured for this project with the same tools, after the one repair that anyone would make to each.
PEERS_ECP5 = (
    ("tinyODIN, repaired", "1,065", "51", "0.5", "25.7", "24"),
    (
        "SYNtzulu, repaired (layers only)",
        "1,619",
        "117",
        "8 at best",
        "934 at best, 169 at 10 % activity",
        "577 at best, 105 at 10 %",
    ),
)
PEERS_UP5K = (
    ("tinyODIN, repaired", "798", "17.3", "0.5", "8.6", "11"),
    (
        "SYNtzulu, repaired (layers only)",
        "1,382",
        "38.9",
        "8 at best",
        "311 at best, 56 at 10 % activity",
        "225 at best, 41 at 10 %",
    ),
)


#: Core, LUT, FF, RAM, DSP, MHz of a peer that learns, measured for this project likewise.
PEER_LEARNING = ("ODIN (SDSP, Izhikevich-like, 256 x 256, 4 bits)", "13,522", "4,513", "20", "1", "19.8", "", "", "")


def results(name: str) -> dict[str, Any]:
    """Output of a benchmark.

    Raises
    ------
    PageError
        If it was never run.
    """
    path = RESULTS / f"{name}.json"
    if not path.exists():
        raise PageError(f"{path} is missing; run: make {'bench-chip' if name == 'chip_size' else 'bench'}")
    data: dict[str, Any] = json.loads(path.read_text())
    return data


def core_size(family: str) -> str:
    """Size and speed of the 256 x 256 core, beside the peers."""
    lut = "logic cells" if family == "ice40-up" else "LUT"
    head = (
        "core",
        lut,
        "FF",
        "block RAM",
        "MHz (3 seeds)",
        "operations per cycle",
        "million operations/s",
        f"thousand operations/s per {lut[:-1] if lut[-1] == 's' else lut}",
    )
    rows = []
    for name, row in results("core_size")["cores"].items():
        if row["family"] != family:
            continue
        used, mhz = row["used"], row["fmax_mhz"].values()
        rows.append(
            (
                f"**spikeloom**, {name.split(', ', 1)[1]}",
                f"{used['lut']:,}",
                f"{used['ff']:,}" if "ff" in used else "",
                f"{used['ram']}" + (f" + {used['spram']} SPRAM" if used.get("spram") else ""),
                ", ".join(f"{value:.0f}" for value in mhz),
                f"{row['operations_per_cycle']:.0f}",
                f"{row['operations_per_second'] / 1e6:,.0f}",
                f"{row['operations_per_second_per_lut'] / 1e3:,.0f}",
            )
        )
    for name, cells, mhz_text, per_cycle, rate, per_cell in PEERS_ECP5 if family == "ecp5" else PEERS_UP5K:
        rows.append((name, cells, "", "", mhz_text, per_cycle, rate, per_cell))
    return table(head, rows)


def core_cycles() -> str:
    """Cycles of the 256 x 256 core."""
    head = ("core", "idle tick", "one event", "every further event", "tick with 26 events (10 %)", "tick with 256 events")
    rows = [
        (
            name,
            row["idle_tick_cycles"],
            f"+{row['cycles_of_one_event']}",
            f"+{row['cycles_per_event']:.0f}",
            row["tick_cycles_by_events"]["26"],
            row["tick_cycles_by_events"]["256"],
        )
        for name, row in results("core_size")["cores"].items()
    ]
    return table(head, rows)


def layers() -> str:
    """The 32-64-128-64-16 network beside SYNtzulu."""
    data = results("layers")
    head = (
        "input activity",
        "spikes per tick, layer by layer",
        "cycles per tick",
        "thousand operations/s per cell",
        "SYNtzulu: cycles",
        "SYNtzulu: thousand operations/s per cell",
        "ratio",
    )
    rows = [
        (
            name,
            " / ".join(f"{value:g}" for value in case["spikes_per_tick"]),
            f"{case['cycles_per_tick']:.0f}",
            f"{case['operations_per_second_per_cell'] / 1e3:.0f}",
            f"{case['syntzulu_cycles_per_tick']:.0f}",
            f"{case['syntzulu_operations_per_second_per_cell'] / 1e3:.0f}",
            f"{case['ratio_per_cell']:.1f} ×",
        )
        for name, case in data["activities"].items()
    ]
    clocks = ", ".join(f"{value:.0f}" for value in data["fmax_mhz"].values())
    return table(head, rows) + f"\n\nOurs: {data['used']['lut']:,} logic cells, {clocks} MHz (three seeds)."


def mnist() -> str:
    """MNIST on the iCEBreaker."""
    data = results("mnist")
    rates = data["images_per_second"]
    rows = [
        ("accuracy on 10,000 test images, float", f"{100 * data['float_accuracy']:.2f} %"),
        (f"accuracy, {data['weight_bits']}-bit weights, golden model", f"{100 * data['golden_accuracy']:.2f} %"),
        *((f"accuracy, golden model, {name}", f"{100 * value:.2f} %") for name, value in data["other_geometries"].items()),
        (
            "hardware equal to golden model",
            f"{data['lockstep_images']} images with the whole state after each tick, {data['rtl_images']:,} images in their output spikes",
        ),
        ("ticks and cycles per image", f"{data['ticks_per_image']} and {data['cycles_per_image']:,.0f}"),
        *((f"images per second at {entry['mhz']:g} MHz", f"{entry['rate']:,}") for entry in rates.values()),
    ]
    return table(("784-128-10 on the iCEBreaker, one core", "figure"), rows)


def digits() -> str:
    """Digits: accuracies."""
    data = results("digits")
    rows: list[tuple[object, ...]] = [("float, layer by layer", f"{100 * data['float_accuracy']:.2f} %", "", "")]
    for bits, row in data["weights"].items():
        rows.append((f"golden model, {bits}-bit weights", f"{100 * row['golden_accuracy']:.2f} %", "", ""))
        rows.append(
            (
                f"generated hardware, {bits}-bit weights",
                f"{100 * row['rtl_accuracy']:.2f} %",
                f"{row['cycles_per_image']:.0f}",
                f"{row['lockstep_samples']} images, {row['lockstep_ticks']:,} ticks: equal",
            )
        )
    return table((f"64-64-10 on {data['samples']} digits", "accuracy", "cycles per image", "state compared after each tick"), rows)


def boards() -> str:
    """Bitstreams."""
    head = (
        "board",
        "neurons",
        "axons",
        "synapses",
        "LUT",
        "block RAM",
        "multipliers",
        "routed MHz",
        "clock MHz",
        "tried on hardware",
    )
    rows = [
        (
            f"{row['title']}",
            row["neurons"],
            row["axons"],
            f"{row['synapses']:,}",
            f"{row['used']['lut']:,} of {row['available']['lut']:,}",
            f"{row['used']['ram']} of {row['available']['ram']}"
            + (f", {row['used']['spram']} SPRAM" if row["used"].get("spram") else ""),
            row["used"]["dsp"],
            f"{row['fmax_mhz']:.1f} (seed {row['seed']})",
            f"{row['clock_mhz']:g}",
            "no",
        )
        for row in results("boards")["boards"].values()
    ]
    return table(head, rows)


def link() -> str:
    """Networks through the serial line of the simulated board."""
    data = results("link")
    head = (
        "network", "way", "bytes per image there, back", "cycles per image, of which the core's", "images/s: core, line, both",
        "limited by", "with a round trip of 1 ms, 2 ms", "equal to golden",
    )  # fmt: skip
    rows = []
    for network, ways in data["networks"].items():
        for way, entry in ways.items():
            if not isinstance(entry, dict):
                continue
            rates = entry["images_per_second"]
            rows.append(
                (
                    network,
                    way,
                    f"{entry['bytes_to_board']:,}, {entry['bytes_from_board']:,}",
                    f"{entry['cycles']:,}, {entry['core_cycles']:,}",
                    f"{rates['core']:,}, {rates['line']:,}, **{rates['whole']:,}**",
                    entry["limited_by"],
                    ", ".join(f"{rate:,}" for rate in entry["images_per_second_with_round_trip"].values()),
                    f"yes, {entry['images']} images" if entry["equal_to_golden"] else "no",
                )
            )
    virtual = ", ".join(f"{name} {ways['virtual_board_images_per_second']:g}" for name, ways in data["networks"].items())
    return (
        table(head, rows)
        + f"\n\niCEBreaker at {data['clock_mhz']:g} MHz and {data['baud'] / 1e6:g} Mbaud. The virtual board on this machine: {virtual} images/s."
    )


def simulators() -> str:
    """Verilator beside CXXRTL."""
    data = results("simulators")
    ratio = data["verilator_over_cxxrtl"]
    rows = [
        (name, f"{entry['median_cycles_per_second'] / 1e3:,.0f}", f"{entry['compile_cpu_seconds']:.1f}")
        for name, entry in data["simulators"].items()
    ]
    turns = len(data["simulators"]["verilator"]["cycles_per_second"])
    return (
        table(("simulator", "thousand cycles/s (median)", "seconds of processor time to compile"), rows)
        + f"\n\nVerilator is {ratio['median']:g} times as fast (median of {turns} turns of {data['cycles']:,} cycles; {ratio['least']:g} to "
        f"{ratio['most']:g}) on a shared machine,\nand stays."
    )


def stdp_window() -> str:
    """The measured window of pair STDP beside the exponential."""
    rows = [
        (
            name,
            code(case["rule"]),
            case["seeds"],
            f"{case['rms_percent']:g} %",
            f"{case['max_percent']:g} %",
            "equal" if case["rtl_equal"] else "DIFFERS",
        )
        for name, case in results("stdp_window")["cases"].items()
    ]
    head = ("rounding", "rule", "pairings averaged", "RMS error, of the amplitude", "largest", "hardware = golden")
    return table(head, rows) + "\n\nOver -100 to 100 ms at 20 ms: `python bench/stdp_window.py`."


def learning_cost() -> str:
    """A core with and without learning."""
    data = results("learning_cost")
    rows = [
        (
            name,
            *(f"{row['used'].get(kind, 0):,}" for kind in ("lut", "ff", "ram", "dsp")),
            ", ".join(f"{mhz:g}" for mhz in row["fmax_mhz"].values()),
            *(row.get("cycles", {}).get(what, "") for what in ("idle", "event", "spike")),
        )
        for name, row in data["cores"].items()
    ]
    head = ("core", "LUT", "FF", "RAM", "DSP", "MHz by placer seed", "idle tick", "an event more", "a spike more")
    seeds = ", ".join(map(str, data["seeds"]))
    return (
        table(head, [*rows, PEER_LEARNING])
        + f"\n\nECP5 speed 6, placer seeds {seeds}: `python bench/learning_cost.py --seeds {len(data['seeds'])}`."
    )


def learning_speed() -> str:
    """The fast engine and the plain model on a core that learns."""
    rows = [
        (name, f"{case['microseconds_per_tick']:.1f}", f"{1e6 / case['plain_ticks_per_cpu_second']:,.0f}")
        for name, case in results("learning_speed")["cases"].items()
    ]
    return table(("rule, rounding", "µs per tick", "plain model, µs"), rows)


def unsupervised() -> str:
    """MNIST without a teacher."""
    data = results("unsupervised")
    counts = list(next(iter(data["networks"].values())))
    rows = [
        (neurons, *(", ".join(f"{100 * value:.1f}" for value in by_images[count]["accuracy"]) for count in counts))
        for neurons, by_images in data["networks"].items()
    ]
    head = ("neurons", *(f"after {int(count):,} images, %" for count in counts))
    seeds = ", ".join(map(str, data["seeds"]))
    return table(head, rows) + f"\n\nTest accuracy with seeds {seeds}: `python bench/unsupervised.py --data FOLDER`."


def versions() -> str:
    """Tools behind the figures."""
    found = results("core_size")["versions"]
    names = [f"{name} {value}" for name, value in found.items() if name != "spikeloom"]
    return "Measured with " + ",\n".join(", ".join(names[i : i + 4]) for i in range(0, len(names), 4)) + "."


def behaviours() -> str:
    """The twenty behaviours: totals of every set, and each behaviour of the default widths."""
    data = results("behaviours")
    rows = [
        (
            widths,
            name,
            " / ".join(str(result["passed"][kind]) for kind in ("float", "golden", "rtl")),
            f"{result['count_error']} of {result['float_spikes']}"
            + (f" ({result['count_error_of']})" if result["count_error"] else ""),
            f"{result['worst_shift_ms']:g} ms ({result['worst_shift_of']})",
            f"equal, {sum(core['lockstep_ticks'] for core in result['cores']):,} ticks" if result["rtl_equal"] else "DIFFERS",
        )
        for widths, sets in data["widths"].items()
        for name, result in sets.items()
    ]
    head = (
        "bits of W / U / multiplier", "set", "checks passed: float / golden / hardware", "spikes that differ", "largest shift",
        "hardware and golden model",
    )  # fmt: skip
    sets = next(iter(data["widths"].values()))
    each = [
        (
            f"{letter} {row['name']}",
            *(
                cell
                for one in (row, sets["original"]["behaviours"][letter])
                for cell in (f"{one['float_spikes']} / {one['golden_spikes']} / {one['rtl_spikes']}", f"{one['max_shift_ms']:g}")
            ),
        )
        for letter, row in sets["robust"]["behaviours"].items()
    ]
    titles = ("behaviour", "robust: spikes (float / golden / hardware)", "shift, ms", "original: spikes", "shift, ms")
    return f"{table(head, rows)}\n\nOne by one, for {next(iter(data['widths']))} bits:\n\n{table(titles, each)}"


def neurons(kind: str) -> str:
    """Size and speed of the neuron models: ``pipelines`` alone, or whole ``cores``."""
    data = results("neurons")
    titles = {"ecp5": "ECP5-6", "up5k": "UP5K"}
    rows = []
    for part, entries in data[kind].items():
        for name, row in entries.items():
            used = row["used"]
            cells = (f"{used[cell]:,}" if cell in used else "" for cell in ("lut", "ff", "dsp", "ram"))
            clocks = ", ".join(f"{mhz:.0f}" for mhz in row["fmax_mhz"].values())
            speed = f"{row['fmax_median_mhz'] * 1000 / row['interval']:,.0f}"
            rows.append((titles[part], name, *cells, clocks, row["latency"], row["interval"], speed))
    head = ("part", "model", "LUT or cells", "FF", "multipliers", "RAM", "MHz", "latency", "interval", "neurons per ms")
    return table(head, rows)


def router() -> str:
    """Size and speed of the router."""
    data = results("router")
    titles = {"ecp5": "ECP5-6", "ice40-up": "UP5K"}
    rows = []
    for row in data["routers"].values():
        used = row["used"]
        rows.append(
            (
                titles[row["family"]],
                f"{len(row['sides'])} neighbours",
                f"{used['lut']:,}",
                f"{used['ff']:,}" if "ff" in used else "",
                ", ".join(f"{mhz:.0f}" for mhz in row["fmax_mhz"].values()),
                f"{data['cycles_per_hop']:g}",
                f"{row['packets_per_second_per_port'] / 1e6:,.0f}",
                f"{row['packets_per_second'] / 1e6:,.0f}",
            )
        )
    head = ("part", "router", "LUT or cells", "FF", "MHz (3 seeds)", "cycles per hop", "million packets/s per port", "per router")
    mesh, chip = data["mesh"], data["chip"]
    mesh_clocks, clocks = (", ".join(f"{mhz:.0f}" for mhz in row["fmax_mhz"].values()) for row in (mesh, chip))
    used = chip["used"]
    text = (
        f"Packets of {data['packet_bits']} bits. A mesh of {mesh['columns']} × {mesh['rows']} routers without cores: {mesh_clocks} MHz on "
        f"ECP5-6.\nA whole chip of {chip['columns']} × {chip['rows']} cores with {chip['core']['lanes']} lanes and its serial port: "
        f"{used['lut']:,} LUT, {used['ff']:,} FF, {used['ram']} block RAMs and {clocks} MHz."
    )
    return f"{table(head, rows)}\n\n{text}"


def chip_size() -> str:
    """The largest chip."""
    data = results("chip_size")
    used, available, core = data["used"], data["available"], data["core"]
    cycles = data["tick_cycles_by_events_per_core"]
    full = str(core["axons"])
    names = {"lut": "LUT", "ff": "flip-flops", "ram": "block RAM", "dsp": "multipliers"}
    rows = [
        ("cores", f"{data['cores']} ({data['columns']} × {data['rows']}), each {core['axons']} axons × {core['neurons']} neurons"),
        ("neurons and synapses", f"{data['neurons']:,} and {data['synapses']:,} of {core['weight_bits']} bits"),
        *((title, f"{used[kind]:,} of {available[kind]:,}") for kind, title in names.items() if kind in used and kind in available),
        ("routed MHz (by seed)", ", ".join(f"{mhz:.1f} ({seed})" for seed, mhz in data["fmax_mhz"].items())),
        ("synaptic operations per cycle, at most", f"{data['operations_per_cycle']:,}"),
        (
            "thousand million synaptic operations per second, at most, by the best seed",
            f"{data['peak_operations_per_second'] / 1e9:.1f}",
        ),
        (
            "the same over whole ticks with every axon active",
            f"{data['full_tick_operations_per_second'] / 1e9:.1f} ({cycles[full]['chip']} cycles per tick)",
        ),
        ("cycles of a tick by active axons per core", ", ".join(f"{count}: {row['chip']}" for count, row in cycles.items())),
    ]
    return table((f"whole chip on {data['board']} ({data['part']})", "figure"), rows)


def _speed(value: float) -> str:
    """A rate in three digits at least."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def golden_speed() -> str:
    """The fast engine beside the plain model and NEST."""
    data = results("golden_speed")
    names = {"fast": "fast engine", "golden": "plain model (numpy)", "nest": f"NEST {data['nest']}"}
    rows = []
    for load, result in data["workloads"].items():
        for who, row in result["contestants"].items():
            rows.append(
                (
                    load,
                    f"{result['cores']:,}",
                    f"{result['synapses'] / 1e6:,.1f}",
                    names[who],
                    _speed(row["ticks_per_cpu_second"]),
                    f"{row['peak_megabytes']:,.0f}",
                    f"{row['rate_hz']:.1f}",
                    "" if who == "fast" else f"{result['ratios'][f'fast_per_{who}']:,.1f} × as fast",
                    ""
                    if who == "fast"
                    else f"{'the same' if result['same_raster_as_fast'][who] else 'DIFFERENT'}, {row['ticks']:,} ticks",
                )
            )
    head = (
        "workload", "cores", "million synapses", "simulator", "ticks per CPU second", "peak MB of the process", "spikes per neuron and 1,000 ticks",
        "fast engine is", "spikes",
    )  # fmt: skip
    return table(head, rows)


def generators() -> dict[str, Callable[[], str]]:
    """What fills each region, by its name."""
    return {
        "figures-core-ecp5": lambda: core_size("ecp5"),
        "figures-core-up5k": lambda: core_size("ice40-up"),
        "figures-core-cycles": core_cycles,
        "figures-layers": layers,
        "figures-mnist": mnist,
        "figures-digits": digits,
        "figures-boards": boards,
        "figures-link": link,
        "figures-simulators": simulators,
        "figures-stdp-window": stdp_window,
        "figures-learning-cost": learning_cost,
        "figures-learning-speed": learning_speed,
        "figures-unsupervised": unsupervised,
        "figures-versions": versions,
        "figures-behaviours": behaviours,
        "figures-router": router,
        "figures-chip-size": chip_size,
        "figures-golden-speed": golden_speed,
        "figures-neuron-pipelines": lambda: neurons("pipelines"),
        "figures-neuron-cores": lambda: neurons("cores"),
    }
