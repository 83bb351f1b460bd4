"""Tables of registers, frames, files, commands and errors, from the code."""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import Any

import typer
from hardware import CORE, EXAMPLE, EXAMPLE_NOTE
from reading import code, doc, entry, hexadecimal, members, section, table

from spikeloom.arch import errors, frame, registers
from spikeloom.arch.frame import Operation, Request, Response
from spikeloom.arch.image import LoadableImage
from spikeloom.arch.memory_map import regions
from spikeloom.arch.registers import REGISTERS, Address, Status
from spikeloom.cli.main import app
from spikeloom.network import encode, nir_graph
from spikeloom.network import image as network_image

# Registers and frames -------------------------------------------------------------------------------------------------


def register_table() -> str:
    """All registers."""
    rows = ((code(f"0x{r.address:02X}"), code(r.name), r.access.value, r.meaning) for r in REGISTERS)
    return table(("address", "name", "access", "meaning"), rows)


def constant_registers() -> str:
    """Values of the constant registers of the example geometry."""
    values = registers.constants(EXAMPLE)
    return f"{EXAMPLE_NOTE}\n\n" + table(("register", "value"), ((code(a.name), code(hexadecimal(v))) for a, v in values.items()))


def status_table() -> str:
    """Status codes."""
    notes = members(Status) | {"OK": "Done."}
    return table(("status", "name", "meaning"), ((int(s), code(s.name), notes[s.name]) for s in Status))


def frame_layout() -> str:
    """Layout of the frames, from the module's docstring."""
    text = inspect.getdoc(frame) or ""
    blocks = re.findall(r"^(Request|Response)::\n\n((?:    .*\n?)+)", text, re.MULTILINE)
    parts = [f"{name}:\n\n```text\n{textwrap.dedent(body).rstrip().replace('``', '')}\n```" for name, body in blocks]
    return "\n\n".join(parts)


def _bytes(raw: bytes) -> str:
    return code(" ".join(f"{byte:02X}" for byte in raw))


def frame_example() -> str:
    """A request and its response, byte by byte."""
    axon, delay, sequence = frame.SLIP_END, 1, 7
    word = axon | delay << registers.EVENT_AXON_BITS
    request = Request(sequence, Operation.WRITE, Address.EVENT, 1, (word,))
    line = _delimited(request.encode())
    body = _unescaped(line)[: -frame.CRC_BYTES]
    reply = _delimited(Response(sequence, Status.OK, 1).encode())
    answer = _unescaped(reply)[: -frame.CRC_BYTES]
    rows = [
        ("request", "sequence number", _bytes(body[:1]), f"{sequence}; the request before had {sequence - 1}"),
        ("request", "operation", _bytes(body[1:2]), f"`{Operation.WRITE.name}`"),
        ("request", "words", _bytes(body[2:4]), "1"),
        ("request", "address", _bytes(body[4:8]), f"register `{Address.EVENT.name}`"),
        ("request", "data", _bytes(body[8:]), f"axon {axon}, delay {delay}"),
        ("request", "CRC-32", _bytes(_unescaped(line)[len(body) :]), "of the bytes above"),
        ("request", "on the line", _bytes(line), f"{len(line)} bytes; `{frame.SLIP_END:02X}` inside the frame became two bytes"),
        ("response", "sequence number", _bytes(answer[:1]), "that of the request"),
        ("response", "words", _bytes(answer[1:3]), "1 written"),
        ("response", "status", _bytes(answer[3:]), f"`{Status.OK.name}`"),
        ("response", "CRC-32", _bytes(_unescaped(reply)[len(answer) :]), "of the bytes above"),
        ("response", "on the line", _bytes(reply), f"{len(reply)} bytes"),
    ]
    return table(("frame", "part", "bytes (hexadecimal)", "meaning"), rows)


def _delimited(line: bytes) -> bytes:
    end = bytes((frame.SLIP_END,))
    return end + line.strip(end) + end


def _unescaped(line: bytes) -> bytes:
    pairs = (
        (bytes((frame.SLIP_ESCAPE, frame.SLIP_ESCAPED_END)), frame.SLIP_END),
        (bytes((frame.SLIP_ESCAPE, frame.SLIP_ESCAPED_ESCAPE)), frame.SLIP_ESCAPE),
    )
    inner = line[1:-1]
    for escaped, plain in pairs:
        inner = inner.replace(escaped, bytes((plain,)))
    return inner


# Network --------------------------------------------------------------------------------------------------------------


def nir_nodes() -> str:
    """NIR nodes that the import understands."""
    roles = {**dict.fromkeys(nir_graph.PORT_KINDS, "port"), **dict.fromkeys(nir_graph.LINEAR_KINDS, "linear")}
    rows = []
    for kind in nir_graph.SUPPORTED:
        needed = ", ".join(code(name) for name in nir_graph._PARAMETERS[kind])
        optional = ", ".join(code(name) for name in nir_graph._OPTIONAL.get(kind, ()))
        rows.append((code(kind), roles.get(kind, "neuron"), needed, optional))
    return table(("node", "role", "parameters", "optional"), rows)


def image_file() -> str:
    """Bytes of an image file."""
    magic, version = len(network_image.MAGIC), network_image.VERSION_BYTES
    rows = [
        (f"0-{magic - 1}", "magic", code(repr(network_image.MAGIC)[1:])),
        (f"{magic}-{magic + version - 1}", "format version, little endian", network_image.FORMAT_VERSION),
        (f"{magic + version}-{network_image.HEADER_BYTES - 1}", "SHA-256 of all bytes behind it", ""),
        (
            f"{network_image.HEADER_BYTES}-",
            "a numpy `.npz` archive without pickles",
            f"at most {network_image.MAX_BYTES} bytes in all",
        ),
    ]
    return table(("bytes", "contents", "value"), rows)


def image_arrays() -> str:
    """Members of the archive."""
    rows: list[tuple[str, str, str]] = [("`meta`", "uint8 `[n]`", "JSON text in UTF-8: see below")]
    for name, region in regions(CORE).items():
        if region.in_image:
            rows.append((f"`core0.{name}`", f"uint32 `[{region.depth}, {region.layout.slices}]`", region.meaning))
    described = section(LoadableImage, "Parameters")
    for name in network_image._MAPS:
        rows.append((code(name), "int64 `[n]`", entry(described, name)[1]))
    return f"{EXAMPLE_NOTE}\n\n" + table(("array", "type and shape", "contents"), rows)


def encoders() -> str:
    """Functions of the encode module."""
    rows = []
    for name, function in vars(encode).items():
        if inspect.isfunction(function) and function.__module__ == encode.__name__ and not name.startswith("_"):
            arguments = ", ".join(
                parameter.name if parameter.default is parameter.empty else f"{parameter.name}={parameter.default}"
                for parameter in inspect.signature(function).parameters.values()
            )
            rows.append((code(f"{name}({arguments})"), doc(function)))
    return table(("function", "spikes"), rows)


def command_table() -> str:
    """Commands with their arguments and options."""
    parts = []
    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        rows = []
        for parameter in command.params:
            if parameter.name == "help":
                continue
            names = (
                ", ".join(code(option) for option in parameter.opts)
                if parameter.opts[0].startswith("-")
                else code(parameter.metavar)
            )
            default = (
                ""
                if parameter.required or parameter.default is None
                else code(getattr(parameter.default, "value", parameter.default))
            )
            rows.append((names, "yes" if parameter.required else "", default, getattr(parameter, "help", "") or ""))
        text = f"### {name}\n\n{doc(command.callback)}"
        parts.append(text + ("\n\n" + table(("argument or option", "needed", "default", "meaning"), rows) if rows else ""))
    return "\n\n".join(parts)


def error_table() -> str:
    """Error classes."""
    rows = []
    for name, kind in vars(errors).items():
        if inspect.isclass(kind) and issubclass(kind, errors.SpikeloomError):
            bases = ", ".join(code(base.__name__) for base in kind.__bases__)
            rows.append((code(name), bases, kind.exit_code, doc(kind)))
    return table(("class", "bases", "exit code", "meaning"), rows)
