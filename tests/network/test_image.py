from __future__ import annotations

import hashlib
import io
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import ImageError
from spikeloom.arch.image import LoadableImage, PopulationMap
from spikeloom.host.golden_chip import GoldenChip
from spikeloom.network.image import FORMAT_VERSION, HEADER_BYTES, MAGIC, Image
from spikeloom.sim.cases import random_case
from tests.helpers import core_configs, relay_image


def _image(loadable: LoadableImage, **changes: Any) -> Image:
    names = LoadableImage.__dataclass_fields__
    return Image(**({name: getattr(loadable, name) for name in names} | changes))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Bytes of a sound image file."""
    path = tmp_path_factory.mktemp("image") / "good.loom"
    _image(relay_image(), notes={"made": "by hand"}).save(path)
    return path.read_bytes()


def _refusal(path: Path) -> str:
    """The message with which a file is refused: one line that begins with its name."""
    with pytest.raises(ImageError) as caught:
        Image.load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


def _load(path: Path) -> Image | ImageError:
    """The image, or its refusal."""
    try:
        return Image.load(path)
    except ImageError as error:
        return error


def _sealed(body: bytes, version: int = FORMAT_VERSION) -> bytes:
    """An image file whose checksum is right, whatever its contents."""
    return MAGIC + version.to_bytes(2, "little") + hashlib.sha256(body).digest() + body


# Round trip --------------------------------------------------------------------------------------------------------------


def _assert_equal(loaded: Image, saved: Image) -> None:
    for name in ("config", "inputs", "outputs", "populations", "board", "notes"):
        assert getattr(loaded, name) == getattr(saved, name), name
    for name in ("input_index", "input_core", "input_axon", "input_offset", "output_shift"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(saved, name), err_msg=name)
    for number, (found, memory) in enumerate(zip(loaded.memories, saved.memories, strict=True)):
        assert list(found) == list(memory), number
        for name, words in memory.items():
            np.testing.assert_array_equal(found[name], words, err_msg=f"core {number}, {name}")


def test_loaded_image_equals_the_saved_one(tmp_path: Path) -> None:
    image = _image(relay_image(), board="icebreaker", notes={"warnings": ["tight"], "error": 0.25})
    image.save(tmp_path / "a.loom")
    _assert_equal(Image.load(tmp_path / "a.loom"), image)


@given(core_configs(max_axons=20, max_neurons=20), st.integers(0, 2**32 - 1))
def test_any_image_survives_the_file(tmp_path_factory: pytest.TempPathFactory, config: CoreConfig, seed: int) -> None:
    path = tmp_path_factory.getbasetemp() / "any.loom"
    image = _image(random_case(ChipConfig(cores=(config,)), seed, ticks=1).image)
    image.save(path)
    _assert_equal(Image.load(path), image)


def test_an_image_of_many_cores_survives_the_file(tmp_path: Path) -> None:
    """More than ten cores, of two kinds: the names of the arrays do not sort like the cores."""
    kinds = CoreConfig(axons=9, neurons=8, lanes=4, weight_bits=4), CoreConfig(axons=17, neurons=4, lanes=2, weight_bits=1)
    config = ChipConfig(cores=tuple(kinds[number % 5 == 0] for number in range(12)), columns=4, rows=3, chips_across=2)
    pieces = (PopulationMap("cells", 11, 0, 4, 2, 0), PopulationMap("cells", 0, 1, 2, 2, 4))
    image = _image(random_case(config, 5, ticks=1).image, populations=pieces)
    assert len({memory["weights"].tobytes() for memory in image.memories}) == 12
    image.save(tmp_path / "many.loom")
    _assert_equal(Image.load(tmp_path / "many.loom"), image)


def test_loaded_image_runs_like_the_saved_one(tmp_path: Path) -> None:
    image = _image(random_case(ChipConfig(cores=(CoreConfig(axons=37, neurons=26, weight_bits=4, lanes=4),)), 6).image)
    image.save(tmp_path / "a.loom")
    spikes = np.random.default_rng(1).random((20, 37)) < 0.3
    expected = GoldenChip(image).run(spikes)
    assert expected.any()
    np.testing.assert_array_equal(GoldenChip(Image.load(str(tmp_path / "a.loom"))).run(spikes), expected)


def test_same_image_gives_the_same_memories_and_header(tmp_path: Path) -> None:
    for name in ("a.loom", "b.loom"):
        _image(relay_image()).save(tmp_path / name)
    a, b = ((tmp_path / name).read_bytes() for name in ("a.loom", "b.loom"))
    assert a[:10] == b[:10] == b"SPKLOOM\0\x03\x00"


# Damage --------------------------------------------------------------------------------------------------------------------


def test_flipped_byte_is_noticed_wherever_it_is(tmp_path: Path, good: bytes) -> None:
    path = tmp_path / "flipped.loom"
    for position in [*range(HEADER_BYTES + 8), *range(HEADER_BYTES + 8, len(good), 97), len(good) - 1]:
        path.write_bytes(good[:position] + bytes((good[position] ^ 0x20,)) + good[position + 1 :])
        message = _refusal(path)
        if position < 8:
            assert message == " is not a spikeloom image"
        elif position < 10:
            version = int.from_bytes(good[8:10], "little") ^ 0x20 << 8 * (position - 8)
            assert (
                message
                == f" has format version {version}; this spikeloom reads version {FORMAT_VERSION}: compile the network again"
            )
        else:
            assert message == " is damaged: its checksum is wrong; compile the network again", position


@pytest.mark.parametrize("kept", [8, 9, 10, 41, 42, 43, 100, -1000, -1])
def test_truncated_file_is_damaged(tmp_path: Path, good: bytes, kept: int) -> None:
    path = tmp_path / "short.loom"
    path.write_bytes(good[:kept])
    assert _refusal(path) == " is damaged: its checksum is wrong; compile the network again"


def test_file_with_something_behind_it_is_damaged(tmp_path: Path, good: bytes) -> None:
    path = tmp_path / "long.loom"
    path.write_bytes(good + b"\0")
    assert _refusal(path) == " is damaged: its checksum is wrong; compile the network again"


@pytest.mark.parametrize("version", [0, 1, 2, 4, 65535])
def test_other_format_version_is_named(tmp_path: Path, good: bytes, version: int) -> None:
    path = tmp_path / "version.loom"
    path.write_bytes(_sealed(good[HEADER_BYTES:], version))
    assert (
        _refusal(path) == f" has format version {version}; this spikeloom reads version {FORMAT_VERSION}: compile the network again"
    )


@pytest.mark.parametrize("content", [b"", b"SPKLOO", b"\x89HDF\r\n\x1a\n" + bytes(100), b"PK\x03\x04" + bytes(100), b"hello\n"])
def test_other_file_is_not_an_image(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.nir"
    path.write_bytes(content)
    assert _refusal(path) == " is not a spikeloom image"


def test_very_large_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.loom"
    with path.open("wb") as file:
        file.truncate((1 << 28) + 1)
    assert _refusal(path) == " has 268435457 bytes; an image has at most 268435456, so this is something else"


def test_missing_file_is_named(tmp_path: Path) -> None:
    assert _refusal(tmp_path / "none.loom") == " cannot be read: No such file or directory"


def test_folder_is_named(tmp_path: Path) -> None:
    assert _refusal(tmp_path) == " cannot be read: Is a directory"


# A right checksum over wrong contents --------------------------------------------------------------------------------------


def _arrays(good: bytes) -> dict[str, Any]:
    with np.load(io.BytesIO(good[HEADER_BYTES:])) as archive:
        return dict(archive)


def _archive(arrays: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


class _Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("member", ["meta", "input_axon", "core0.weights", "extra"])
def test_pickle_inside_is_refused_and_never_run(tmp_path: Path, good: bytes, member: str) -> None:
    exploded = tmp_path / "exploded"
    path = tmp_path / "pickle.loom"
    path.write_bytes(_sealed(_archive(_arrays(good) | {member: np.array([_Bomb(exploded)], object)})))
    assert re.match(" is not an image of this version of spikeloom: Object arrays cannot be loaded", _refusal(path))
    assert not exploded.exists()


def test_bare_pickle_is_refused_and_never_run(tmp_path: Path) -> None:
    exploded = tmp_path / "exploded"
    path = tmp_path / "pickle.loom"
    path.write_bytes(_sealed(pickle.dumps(_Bomb(exploded))))
    assert _refusal(path).startswith(" is not an image of this version of spikeloom: ")
    assert not exploded.exists()


def _npy(array: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _huge_npy() -> bytes:
    """A header that promises 2**60 bytes."""
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1152921504606846976,), }".ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing",
        _npy(np.arange(3)),
        _zip({}),
        _zip({"meta": b"no array"}),
        _zip({"meta.npy": b"\x93NUMPY"}),
        _zip({"meta.npy": _huge_npy()}),
        _zip({"meta.npy": _npy(np.arange(3))})[:-30],
    ],
    ids=["empty", "text", "one array", "empty archive", "member without array", "cut array", "huge array", "cut archive"],
)
def test_contents_that_are_no_archive_of_an_image_are_refused(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "body.loom"
    path.write_bytes(_sealed(body))
    assert _refusal(path).startswith(" is not an image of this version of spikeloom: ")


def test_damaged_member_with_a_right_checksum_is_refused(tmp_path: Path, good: bytes) -> None:
    path = tmp_path / "member.loom"
    body = good[HEADER_BYTES:]
    refused = 0
    for position in range(0, len(body), 41):
        changed = body[:position] + bytes((body[position] ^ 0xFF,)) + body[position + 1 :]
        path.write_bytes(_sealed(changed))
        result = _load(path)
        if isinstance(result, Image):
            # A byte that the archive does not use, such as a date.
            _assert_equal(result, _image(relay_image(), notes={"made": "by hand"}))
        else:
            assert str(result).startswith(str(path))
            assert "\n" not in str(result)
            refused += 1
    assert refused > 30


def _meta(text: bytes) -> dict[str, Any]:
    return {"meta": np.frombuffer(text, np.uint8)}


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b"{}", b"\xff\xfe", b'{"config": null}', b"[" * 100_000],
    ids=["empty", "open", "list", "null", "no keys", "not UTF-8", "no config", "deep"],
)
def test_wrong_description_is_refused(tmp_path: Path, good: bytes, text: bytes) -> None:
    path = tmp_path / "meta.loom"
    path.write_bytes(_sealed(_archive(_arrays(good) | _meta(text))))
    assert _refusal(path).startswith(" is not an image of this version of spikeloom: ")


def _edited_meta(good: bytes, old: bytes, new: bytes) -> dict[str, Any]:
    text = _arrays(good)["meta"].tobytes()
    assert text.count(old) == 1
    return _meta(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            b'"levels": 2',
            b'"levels": 3',
            r": core 0, control: uint32 array of shape \[2, 1\]; the geometry needs uint32 of shape \[3, 1\]$",
        ),
        (
            b'"axons": 3',
            b'"axons": 0',
            " is not an image of this version of spikeloom: axons is 0; it must be 1 to 8192 \\(nearest: 1\\)$",
        ),
        (b'"axons": 3', b'"axles": 3', " is not an image .*: missing or unknown in the core: axles, axons$"),
        (
            b'"columns": 1',
            b'"columns": 2',
            " is not an image .*: cores holds 1; 2 columns and 1 rows need 2, row by row$",
        ),
        (
            b'"name": "second", "offset": 0, "size": 1',
            b'"name": "second", "offset": 0, "size": 9',
            ": population 'second' lies outside the 2 neurons of core 0$",
        ),
        (
            b'"name": "second", "offset": 0, "size": 1',
            b'"name": "second", "offset": 0, "size": "x"',
            " is not an image of this version of spikeloom: ",
        ),
        (
            b'"name": "second", "offset": 0',
            b'"name": "second", "offset": 1',
            ": population 'second': a piece begins at neuron 1 with level 1; it must begin at 0 with level 1$",
        ),
        (b'"name": "second", ', b"", " is not an image of this version of spikeloom: .*'name'$"),
        (b'"name": "in", "size": 2', b'"name": "in", "size": 3', None),
        (b'"name": "out", "size": 1', b'"name": "out", "size": 2', ": 1 output shifts for 2 outputs$"),
    ],
)
def test_image_of_another_geometry_or_map_is_refused(
    tmp_path: Path, good: bytes, old: bytes, new: bytes, message: str | None
) -> None:
    path = tmp_path / "edited.loom"
    path.write_bytes(_sealed(_archive(_arrays(good) | _edited_meta(good, old, new))))
    if message is None:
        assert Image.load(path).input_size == 3  # one more input that reaches nothing
    else:
        assert re.match(message, _refusal(path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_axon": np.array([0, 7])}, ": the image names input axon 7 of core 0; it must be 0 to 2"),
        ({"input_axon": np.array([0.0, 1.0])}, ": the map input_axon is a 1-dimensional array of float64"),
        ({"input_axon": np.array([[0, 1]])}, ": the map input_axon is a 2-dimensional array of int64"),
        ({"output_shift": np.array(3)}, ": the map output_shift is a 0-dimensional array of int64"),
        ({"core0.rows": np.zeros((3, 1), np.int64)}, ": core 0, rows: int64 array of shape [3, 1]; the geometry needs uint32"),
        ({"core1.rows": np.zeros((3, 1), np.uint32)}, ": the array core1.rows belongs to none of the 1 cores"),
        ({"core00.rows": np.zeros((3, 1), np.uint32)}, ": the array core00.rows belongs to none of the 1 cores"),
        ({"core-1.rows": np.zeros((3, 1), np.uint32)}, ": the array core-1.rows belongs to none of the 1 cores"),
        ({"extra": np.zeros(3, np.uint32)}, ": the array extra belongs to none of the 1 cores"),
        ({"core0.": np.zeros(3, np.uint32)}, ": core 0: the image holds ['', 'control', 'firing', "),
        ({"input_core": np.array([0, 1])}, ": the image names input core 1; it must be 0 to 0"),
        ({"core0.parameters": np.full((2, 1), 0x1FFF, np.uint32)}, ": core 0, lif neurons: retention 8191 is above 4096 (1.0)"),
    ],
)
def test_wrong_array_is_refused(tmp_path: Path, good: bytes, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "array.loom"
    path.write_bytes(_sealed(_archive(_arrays(good) | change)))
    assert _refusal(path).startswith(message)


@pytest.mark.parametrize("member", ["meta", "input_index", "input_core", "output_shift", "core0.weights"])
def test_missing_array_is_named(tmp_path: Path, good: bytes, member: str) -> None:
    arrays = _arrays(good)
    del arrays[member]
    path = tmp_path / "less.loom"
    path.write_bytes(_sealed(_archive(arrays)))
    assert member.removeprefix("core0.") in _refusal(path)


# Saving --------------------------------------------------------------------------------------------------------------------


def test_saving_into_a_missing_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none" / "a.loom"
    with pytest.raises(ImageError, match=f"^{re.escape(str(path))} cannot be written: No such file or directory$"):
        _image(relay_image()).save(path)
    assert list(tmp_path.iterdir()) == []


def test_saving_over_a_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(ImageError, match=f"^{re.escape(str(path))} cannot be written: "):
        _image(relay_image()).save(path)
    assert list(tmp_path.iterdir()) == [path]


def test_saving_leaves_one_file_and_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.loom"
    path.write_bytes(b"old")
    _image(relay_image()).save(path)
    assert list(tmp_path.iterdir()) == [path]
    assert Image.load(path).output_size == 1


@pytest.mark.parametrize("step", ["fdopen", "replace"])
def test_failed_save_leaves_the_old_file_and_no_part_of_the_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "a.loom"
    path.write_bytes(b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    class Full(io.BytesIO):
        write = fail  # type: ignore[assignment]

    def open_full(handle: int, mode: str) -> Full:
        os.close(handle)
        return Full()

    with monkeypatch.context() as patch:
        if step == "replace":
            patch.setattr(Path, "replace", fail)
        else:
            patch.setattr(os, "fdopen", open_full)
        with pytest.raises(ImageError, match=f"^{re.escape(str(path))} cannot be written: No space left on device$"):
            _image(relay_image()).save(path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"old"
