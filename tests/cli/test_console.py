from __future__ import annotations

import pytest

from spikeloom.cli.console import FILE_WIDTH, print_table, progress_bar, say, spinner


def _rows(text: str) -> list[list[str]]:
    """Cells of the rows of a printed table, with their padding."""
    return [line.split("│")[1:-1] for line in text.splitlines() if line.startswith("│")]


def test_numbers_stand_at_the_right_and_words_at_the_left(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Title", ("what", "count", "share"), [("a", 1, "5 %"), ("longer", 12345, "-10 %")])
    out = capsys.readouterr().out
    assert out.splitlines()[0].strip() == "Title"
    assert _rows(out) == [[" a      ", "     1 ", "   5 % "], [" longer ", " 12345 ", " -10 % "]]


def test_a_column_with_a_word_stands_at_the_left(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Title", ("value", "empty"), [(12, ""), ("all", "")])
    assert [row[0] for row in _rows(capsys.readouterr().out)] == [" 12    ", " all   "]


def test_a_table_in_a_file_has_a_width_of_its_own_and_loses_no_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    text = "x" * (2 * FILE_WIDTH)
    print_table("Title", ("long",), [(text,)])
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) == FILE_WIDTH
    assert "".join(cell.strip() for row in _rows(out) for cell in row) == text


def test_square_brackets_in_a_table_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    # File names and names of populations may hold anything.
    print_table("out[/x] [red]", ("shape",), [("[3, 4] [bold] [/x]",)])
    out = capsys.readouterr().out
    assert "out[/x]" in out
    assert "[3, 4] [bold] [/x]" in out


def test_a_result_is_one_line_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    text = "[red]" + "word " * 100 + "end"
    say(text)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (text + "\n", "")


def test_progress_in_a_file_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("counting") as progress:
        for number in range(3):
            progress(number + 1, 3)
    with spinner("waiting") as stage:
        stage("compiling")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == ""
