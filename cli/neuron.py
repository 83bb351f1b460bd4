"""Neuron models of one's own: ``--plugin`` and the command ``check-neuron``. Described in ``docs/neuron.md``."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import shlex
import sys
import tempfile
import traceback
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from spikeloom.arch import neuron as arch_neuron
from spikeloom.arch.errors import ConfigError, SpikeloomError
from spikeloom.arch.neuron import NeuronModel, model_class
from spikeloom.cli.console import print_table, progress_bar, say, spinner

#: Bits of the synaptic sum of a measured pipeline: 256 axons of 8-bit weights.
MEASURED_SUM_BITS = 16


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """A part on which pipelines are measured.

    Parameters
    ----------
    title : str
        For tables.
    family : str
        Key of ``boards.flow.SYNTHESIS``.
    options : tuple of str
        Of place and route.
    aim_mhz : float
        Clock that the placer aims at.
    """

    title: str
    family: str
    options: tuple[str, ...]
    aim_mhz: float


PARTS = {
    "ecp5": Part("ECP5, speed 6", "ecp5", ("--85k", "--package", "CABGA381", "--speed", "6"), 100),
    "up5k": Part("iCE40UP5K", "ice40-up", ("--up5k", "--package", "sg48"), 48),
}


class Family(StrEnum):
    """Parts of the resource report."""

    ECP5 = "ecp5"
    UP5K = "up5k"
    BOTH = "both"


class PluginError(SpikeloomError):
    """A file of neuron models that cannot be imported."""


PluginOption = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE.py", help="Python file with neuron models of your own; may be given several times."),
]


def load_plugins(paths: Iterable[Path]) -> None:
    """Import files with neuron models.

    Raises
    ------
    PluginError
        If a file cannot be imported, or takes the name of another module or model.
    """
    for path in paths:
        _load_plugin(path)


def _load_plugin(path: Path) -> None:
    where = path.resolve()
    if not where.is_file() or where.suffix != ".py":
        raise PluginError(
            f"--plugin {path} does not exist or is not a Python file; give a .py file with a class derived from NeuronModel"
        )
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file is not None and Path(file).name == where.name and Path(file).resolve() == where:
            return
    name = where.stem
    # The twins of a model are found by the name of the module.
    if not name.isidentifier() or name in sys.modules or _is_elsewhere(name, where):
        raise PluginError(
            f"--plugin {path}: {name!r} cannot be the name of a module of yours, or is that of another; rename the file"
        )
    known = _known_models()
    spec = importlib.util.spec_from_file_location(name, where)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        arch_neuron._REGISTRY.clear()
        arch_neuron._REGISTRY.update(known)
        raise PluginError(f"--plugin {path} cannot be imported: {_told(error, where)}") from error
    taken = [model for model, kind in known.items() if arch_neuron._REGISTRY[model] is not kind]
    if taken:
        del sys.modules[name]
        arch_neuron._REGISTRY.update(known)
        raise PluginError(f"--plugin {path}: there is a neuron model {taken[0]!r} already; give yours another NAME")
    if len(arch_neuron._REGISTRY) == len(known):
        del sys.modules[name]
        raise PluginError(f"--plugin {path} has no neuron model; a model is a class derived from NeuronModel, with a NAME")


def _is_elsewhere(name: str, path: Path) -> bool:
    """Whether there is another module of that name."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return spec is not None and (spec.origin is None or Path(spec.origin).resolve() != path)


def _known_models() -> dict[str, type[NeuronModel]]:
    model_class("lif")
    return dict(arch_neuron._REGISTRY)


def _told(error: BaseException, path: Path) -> str:
    """What went wrong, and in which line of the file."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return text
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).resolve() == path]
    return f"{text} (line {lines[-1]})" if lines else text


def make_model(name: str, settings: Iterable[str]) -> NeuronModel:
    """A model by name, with fields given as ``field=value``.

    Raises
    ------
    ConfigError
        If there is no such model or field, or a value is wrong.
    """
    kind: Any = model_class(name)
    if not hasattr(kind, "__dataclass_fields__"):
        raise ConfigError(f"{kind.__name__} is not a dataclass; write @dataclass(frozen=True, kw_only=True) before the class")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator:
            raise ConfigError(f"--set {setting!r} is not of the form field=value")
        if key not in fields:
            raise ConfigError(f"--set {setting!r}: a {name} model has no field {key!r}; it has {', '.join(fields) or 'none'}")
        values[key] = _value(setting, text, fields[key].default)
    missing = [
        field.name
        for field in fields.values()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING and field.name not in values
    ]
    if missing:
        raise ConfigError(f"{name} has no default for {', '.join(missing)}; give --set {missing[0]}=VALUE")
    result: NeuronModel = kind(**values)
    return result


def _value(setting: str, text: str, default: object) -> object:
    if isinstance(default, str):
        return text
    if isinstance(default, bool):
        if text.lower() not in ("true", "false"):
            raise ConfigError(f"--set {setting!r}: the value must be true or false")
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        raise ConfigError(f"--set {setting!r}: {text!r} is not a number") from None


def measure_pipeline(model: NeuronModel, part: Part, seeds: Iterable[int], stage: Any = None) -> dict[str, Any]:
    """Synthesise, place and route a pipeline alone, behind registers.

    Returns
    -------
    dict
        ``used`` (cells of the pipeline: the measuring registers are taken off), ``fmax_mhz`` (by seed), ``latency``, ``interval``,
        ``neurons_per_ms`` (at the median of the clocks).
    """
    import statistics

    from spikeloom.boards.flow import place_and_route, synthesize
    from spikeloom.boards.serial_pins import SerialPins
    from spikeloom.hdl.neuron import pipeline_class
    from spikeloom.hdl.verilog import to_verilog

    tell = stage or (lambda _: None)
    pipeline = pipeline_class(model)(model=model, sum_bits=MEASURED_SUM_BITS)
    wrapped = SerialPins(pipeline)
    # An output bit takes a LUT and a flip-flop, an input bit a flip-flop; on iCE40 each is one logic cell.
    wrapper = {"lut": wrapped.output_bits if part.family == "ecp5" else wrapped.cells, "ff": wrapped.cells}
    with tempfile.TemporaryDirectory(prefix="spikeloom_") as folder:
        (Path(folder) / "top.v").write_text(to_verilog(wrapped, "top"))
        tell("synthesis")
        netlist = synthesize(["top.v"], "top", part.family, Path(folder))
        reports = {}
        for seed in seeds:
            tell(f"place and route, seed {seed}")
            reports[str(seed)] = place_and_route(netlist, part.family, part.options, part.aim_mhz, seed)
    first = next(iter(reports.values()))
    clocks = {seed: round(report.fmax_mhz, 1) for seed, report in reports.items()}
    timing = pipeline.timing
    return {
        "used": {kind: count - wrapper.get(kind, 0) for kind, count in first.used.items()},
        "fmax_mhz": clocks,
        "fmax_median_mhz": statistics.median(clocks.values()),
        "critical_path": first.critical_path,
        "latency": timing.latency,
        "interval": timing.interval,
        "neurons_per_ms": int(statistics.median(clocks.values()) * 1000 / timing.interval),
    }


def check_neuron(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name of the neuron model.")],
    plugin: PluginOption = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="A field of the model; may be given several times.")
    ] = None,
    cases: Annotated[
        int, typer.Option(metavar="N", min=1, max=100_000_000, help="Updates of a neuron through the pipeline alone.")
    ] = 100_000,
    networks: Annotated[
        int, typer.Option(metavar="N", min=0, max=100_000, help="Random networks on each of three small cores.")
    ] = 10,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of all that is random, and of the placer.")] = 1,
    resources: Annotated[bool, typer.Option("--resources/--no-resources", help="Synthesise, place and route the pipeline.")] = True,
    family: Annotated[Family, typer.Option("--family", help="Part of the resource report.")] = Family.BOTH,
) -> None:
    """Check a neuron model: golden model against hardware, alone and in whole cores, its timing, and what it costs.

    Exit code 1 and the first difference if anything is wrong.
    """
    from spikeloom.sim import neuron_check

    load_plugins(plugin or ())
    settings = settings or []
    neuron = make_model(model, settings)
    files = [part for path in plugin or () for part in ("--plugin", str(path))]
    fields = [part for setting in settings for part in ("--set", setting)]
    numbers = ["--cases", str(cases), "--networks", str(networks), "--seed", str(seed)]
    replay = shlex.join(["spikeloom", "check-neuron", model, *files, *fields, *numbers, "--no-resources"])
    rows: list[tuple[str, str, str]] = []
    try:
        step, timing = neuron_check.check_model(neuron, seed)
        rows.append(("interface", f"words, sample, golden step; latency {timing.latency}, interval {timing.interval}", "good"))
        for number, bits in enumerate(neuron_check.SUM_BITS):
            share = (cases + number) // len(neuron_check.SUM_BITS)
            if share:
                with progress_bar(f"pipeline, {bits}-bit sums") as progress:
                    result = neuron_check.check_pipeline(neuron, step, share, seed, bits, progress)
                what = f"{result.neurons:,} updates, {result.spikes:,} spikes, {result.cycles:,} clock cycles"
                rows.append((f"pipeline, {bits}-bit sums", what, "equal"))
        for geometry in neuron_check.geometries(neuron) if networks else ():
            with progress_bar(f"core {geometry}") as progress:
                neuron_check.check_core(neuron, geometry, networks, seed, progress)
            rows.append((f"core {geometry}", f"{networks} random networks, compared after each tick", "equal"))
    except neuron_check.NeuronError as error:
        raise neuron_check.NeuronError(f"{error}; replay: {replay}") from error
    print_table(f"{model}: golden model and hardware", ("check", "compared", "result"), rows)
    if resources:
        print_table(
            f"{model}: one pipeline, {MEASURED_SUM_BITS}-bit sums, out of context, placer seed {seed}",
            ("part", "LUT", "FF", "DSP", "RAM", "MHz", "latency", "interval", "neurons per ms"),
            [_resource_row(neuron, PARTS[name], seed) for name in PARTS if family in (name, Family.BOTH)],
        )
    say(f"{model}: all good")


def _resource_row(model: NeuronModel, part: Part, seed: int) -> tuple[str, ...]:
    with spinner(part.title) as stage:
        result = measure_pipeline(model, part, [seed], stage)
    used = result["used"]
    cells = [str(used.get(kind, "")) for kind in ("lut", "ff", "dsp", "ram")]
    return (
        part.title,
        *cells,
        f"{result['fmax_median_mhz']:.1f}",
        *(f"{result[name]:,}" for name in ("latency", "interval", "neurons_per_ms")),
    )
