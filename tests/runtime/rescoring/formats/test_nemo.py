"""NeMo's rows of text and score."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.formats import read
from tests.runtime.rescoring.formats.conftest import Read, Rewrite, add, contents, order

SAMPLE = "good day\t-1.5\n\t-2\n12\t-3\nx\t-1e1\n"


def test_what_is_read(read_text: Read) -> None:
    first, second = read_text(SAMPLE, beam_size=2)
    assert (first.id, second.id) == ("0", "1")
    assert contents(first) == [("good day", {"score": -1.5}), ("", {"score": -2})]
    assert contents(second) == [("12", {"score": -3}), ("x", {"score": -10})]


def test_utterances_are_counted_through_all_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(SAMPLE)
    _, lists = read([tmp_path / "a", tmp_path / "b"], beam_size=2)
    assert [nbest.id for nbest in lists] == ["0", "1", "2", "3"]


def test_a_new_score_is_a_last_column(rewrite: Rewrite, read_text: Read) -> None:
    text = rewrite(SAMPLE, add("rnn", -7.5, -8), beam_size=2)
    assert text == "good day\t-1.5\t-7.5\n\t-2\t-8.0\n12\t-3\t-7.5\nx\t-1e1\t-8.0\n"
    first, _ = read_text(text, beam_size=2)
    assert contents(first)[0] == ("good day", {"score": -1.5, "score2": -7.5})


def test_another_order(rewrite: Rewrite) -> None:
    assert rewrite(SAMPLE, order(1, 0), beam_size=2) == "\t-2\ngood day\t-1.5\nx\t-1e1\n12\t-3\n"


def test_a_beam_size_is_needed(read_text: Read) -> None:
    with pytest.raises(OptionError) as caught:
        read_text(SAMPLE)
    assert str(caught.value).endswith(
        "list: this looks like a NeMo list, which does not say where a list ends; give its "
        "beam size (`beam_size`), or the format 'tsv' if the first column is an id"
    )
    with pytest.raises(OptionError, match="the beam size must be at least 1, not 0"):
        read_text(SAMPLE, beam_size=0)


def test_a_beam_size_goes_with_no_other_format(read_text: Read) -> None:
    with pytest.raises(OptionError, match="`beam_size` is for nemo or plain, not for tsv lists"):
        read_text("u\ta\n", beam_size=2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\t-1\nb\n", "line 2: no tab; expected text<TAB>score"),
        ("a\t-1\nb\tx\n", "line 2, score (column 2): 'x' is no number"),
        (
            "a\t-1\nb\t-1\t-2\n",
            "line 2: 3 columns, but the first line has 2; every line needs the same columns",
        ),
        (
            "a\t-1\nb\t-1\nc\t-1\n",
            (
                "line 3: 3 lines are not a multiple of the beam size 2; "
                "give the one they were written with"
            ),
        ),
    ],
)
def test_bad_lines(read_text: Read, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_text(text, "nemo", beam_size=2)
    assert str(caught.value).endswith(f"list, {message}")


def test_fewer_rows_than_the_beam(read_text: Read) -> None:
    text = "only one\t-1.0\nhe passed\t-1.0\nhe past\t-2.0\nhe passes\t-3.0\n"
    with pytest.raises(InputError, match="line 3: this row goes on from the list before"):
        read_text(text, beam_size=2)
    assert len(read_text(text.replace("only one", "he was"), beam_size=2)) == 2
