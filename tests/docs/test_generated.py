"""The pages: generated regions are up to date, every block has its page, every link leads somewhere."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from spikeloom.arch.config import CoreConfig

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
ROOMS = ("arch", "boards", "cli", "golden", "hdl", "host", "network", "sim", "spikeloom", "tests", "examples", "bench", "docs")
#: Modules of hdl/ that are not blocks.
NO_BLOCKS = {"__init__", "layouts", "fabric"}


def load_generator() -> ModuleType:
    if str(DOCS) not in sys.path:
        sys.path.insert(0, str(DOCS))
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["docs_generate"] = module
    spec.loader.exec_module(module)
    return module


generate = load_generator()
KNOWN = generate.generators()
PAGES = generate.pages()
PAGE_NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def source_files() -> list[Path]:
    files = []
    for room in ROOMS:
        for suffix in ("py", "cpp", "v"):
            files += [path for path in (ROOT / room).rglob(f"*.{suffix}") if not path.is_symlink()]
    return sorted(set(files))


def docstring_of(path: Path) -> str:
    match = re.match(r'(?:#.*\n)*r?"""(.*?)"""', path.read_text(), re.DOTALL)
    return match[1] if match else ""


def test_there_are_pages() -> None:
    assert len(PAGES) > 20


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_generated_regions_are_up_to_date(page: Path) -> None:
    text = page.read_text()
    assert generate.fill(text, KNOWN) == text, "run: python docs/generate.py"


def test_every_region_is_used() -> None:
    lines = [generate.BEGIN.fullmatch(line) for page in PAGES for line in page.read_text().splitlines()]
    used = {match[1] for match in lines if match}
    assert used == set(KNOWN)


def test_fill_replaces_what_stands_in_a_region() -> None:
    page = "a\n<!-- generated: one -->\nold\n<!-- end -->\nb\n"
    assert generate.fill(page, {"one": lambda: "new"}) == "a\n<!-- generated: one -->\n\nnew\n\n<!-- end -->\nb\n"


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("<!-- generated: two -->\n<!-- end -->\n", "line 1: no region is called 'two'; there are one"),
        ("<!-- generated: one -->\ntext\n", "region 'one' has no end"),
        ("<!-- generated: one -->\n<!-- generated: one -->\n<!-- end -->\n", "line 2: region 'one' begins inside region 'one'"),
        ("text\n<!-- end -->\n", "line 2: <!-- end --> without a region before it"),
    ],
)
def test_wrong_regions_are_errors(page: str, message: str) -> None:
    with pytest.raises(generate.PageError, match=re.escape(message)):
        generate.fill(page, {"one": lambda: "new"})


def test_check_names_the_page_that_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good.md").write_text("text\n")
    wrong = tmp_path / "wrong.md"
    wrong.write_text("<!-- generated: counters -->\nold\n<!-- end -->\n")
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    monkeypatch.setattr(generate, "pages", lambda: sorted(tmp_path.glob("*.md")))
    assert generate.main(["--check"]) == 1
    out = capsys.readouterr().out
    assert "wrong.md differs" in out
    assert "good.md" not in out
    assert wrong.read_text().splitlines()[1] == "old"
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    wrong.write_text("<!-- generated: counters -->\n")
    assert generate.main(["--check"]) == 1
    assert "wrong.md: region 'counters' has no end" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "hdl").glob("*.py") if path.stem not in NO_BLOCKS))
def test_every_block_has_a_page(name: str) -> None:
    """The docstring of a block names its page, which has the block's name or speaks of its file."""
    named = re.findall(r"docs/(\w+)\.md", docstring_of(ROOT / "hdl" / f"{name}.py"))
    assert named, f"hdl/{name}.py names no page"
    page = DOCS / f"{named[0]}.md"
    assert page.is_file()
    assert named[0] == name or f"hdl/{name}.py" in page.read_text()


def test_every_page_named_in_the_code_exists() -> None:
    missing = []
    for path in source_files():
        for name in re.findall(r"docs/([\w./-]+\.md)", path.read_text()):
            if path != Path(__file__).resolve() and not (DOCS / name).is_file():
                missing.append(f"{path.relative_to(ROOT)} names docs/{name}")
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_every_relative_link_resolves(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    missing = [link for link in links if link and not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_every_page_is_in_the_index(page: Path) -> None:
    index = (DOCS / "README.md").read_text()
    assert page.name == "README.md" or f"]({page.relative_to(DOCS)})" in index


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_source_files_named_in_pages_exist(page: Path) -> None:
    """Tests named in a test plan may come later, but not sources."""
    text = page.read_text()
    paths = re.findall(r"`((?:arch|boards|golden|hdl|host|network|sim)/[\w/.]*)`", text)
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_lines_are_short(page: Path) -> None:
    long = [number for number, line in enumerate(page.read_text().splitlines(), 1) if len(line) > 140 and not line.startswith("|")]
    assert not long


def test_every_parameter_stands_in_the_docstring() -> None:
    described = generate.section(CoreConfig, "Parameters")
    names = {name for head in described for name in head.partition(" : ")[0].split(", ")}
    assert names == {field.name for field in dataclasses.fields(CoreConfig)}
    assert all(described.values())


def test_section_reads_entries_with_several_names() -> None:
    class Example:
        """A block.

        Members
        -------
        a, b : Out(1)
            Two.
        c : In(2), d : Out(pipelines x signed(3))
            One of
            each.

        Raises
        ------
        Nothing
        """

    described = generate.section(Example, "Members")
    assert generate.entry(described, "b") == ("Out(1)", "Two.")
    assert generate.entry(described, "c") == ("In(2)", "One of each.")
    assert generate.entry(described, "d") == ("Out(pipelines x signed(3))", "One of each.")
    assert generate.entry(described, "Nothing") == ("", "")
    assert generate.section(Example, "Parameters") == {}
