"""SRILM's three kinds of lists."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.formats import read, render
from lmscore.runtime.rescoring.formats.srilm import utterance_id
from tests.runtime.rescoring.formats.conftest import Read, Rewrite, add, contents, order

OWN = "-1200.5 -12.25 2 good  day\n-1201 -inf 0\n-1200.5 -12.25 2 good day\n"
DECIPHER1 = "NBestList1.0\n(-7000) good -pau- day\n(-7100.5)\n"
DECIPHER2 = """\
NBestList2.0
(-300) good ( st: 0.00 et: 0.30 g: -20 a: -100 ) g[uh]d ( st: 0.00 et: 0.10 g: 0 a: -50 ) \
day ( st: 0.31 et: 0.50 g: -30 a: -150 ) -pau--1 ( st: 0.51 et: 0.55 g: -9 a: -9 )
(-10)
"""
BYTELOG = 1024 / 10000.5
LOG10 = math.log(10)


def test_its_own(read_text: Read) -> None:
    (nbest,) = read_text(OWN, name="utt1.nbest.gz")
    assert nbest.id == "utt1"
    assert contents(nbest) == [
        ("good day", {"ascore": -1200.5 * LOG10, "lscore": -12.25 * LOG10, "nwords": 2}),
        ("", {"ascore": -1201 * LOG10, "lscore": -math.inf, "nwords": 0}),
        ("good day", {"ascore": -1200.5 * LOG10, "lscore": -12.25 * LOG10, "nwords": 2}),
    ]


def test_decipher_1(read_text: Read) -> None:
    (nbest,) = read_text(DECIPHER1)
    assert contents(nbest) == [
        ("good -pau- day", {"ascore": -7000 * BYTELOG, "nwords": 3}),
        ("", {"ascore": -7100.5 * BYTELOG, "nwords": 0}),
    ]


def test_decipher_1_without_its_header(read_text: Read) -> None:
    (nbest,) = read_text("(-7000) good -pau- day\n(-7100.5)\n")
    assert contents(nbest) == contents(*read_text(DECIPHER1))


def test_decipher_2_leaves_phones_and_states_out(read_text: Read) -> None:
    (nbest,) = read_text(DECIPHER2)
    (text, features), (empty, nothing) = contents(nbest)
    assert text == "good day"
    assert features == pytest.approx(
        {"ascore": -250 * BYTELOG, "lscore": -50 * BYTELOG, "nwords": 2, "total": -300 * BYTELOG}
    )
    assert (empty, nothing["total"]) == ("", -10 * BYTELOG)


@pytest.mark.parametrize("text", ["", "NBestList1.0\n", "NBestList2.0"])
def test_a_list_may_be_empty(read_text: Read, text: str) -> None:
    (nbest,) = read_text(text, "srilm", name="utt1")
    assert (nbest.id, nbest.hypotheses) == ("utt1", ())


@pytest.mark.parametrize("text", [OWN, DECIPHER1, DECIPHER2, DECIPHER1.replace("\n", "\r\n")])
def test_unchanged(rewrite: Rewrite, text: str) -> None:
    assert rewrite(text) == text


def test_a_new_score_replaces_lscore(rewrite: Rewrite) -> None:
    assert rewrite(OWN, add("rnn", -LOG10, -2 * LOG10, -0.5 * LOG10)) == (
        "-1200.5 -1 2 good day\n-1201 -2 0\n-1200.5 -0.5 2 good day\n"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (DECIPHER1, [(-7000, "3 good -pau- day"), (-7100.5, "0")]),
        (DECIPHER2, [(-250, "2 good day"), (0, "0")]),
    ],
)
def test_a_new_score_turns_decipher_into_its_own(
    rewrite: Rewrite, text: str, expected: list[tuple[float, str]]
) -> None:
    lines = rewrite(text, add("rnn", -LOG10, -2 * LOG10)).splitlines()
    for line, (bytelog, rest), lscore in zip(lines, expected, ["-1", "-2"], strict=True):
        ascore, new, words = line.split(" ", 2)
        assert float(ascore) == pytest.approx(bytelog * BYTELOG / LOG10)
        assert (new, words) == (lscore, rest)


def test_another_order(rewrite: Rewrite) -> None:
    assert rewrite(DECIPHER1, order(1, 0)) == ("NBestList1.0\n(-7100.5)\n(-7000) good -pau- day\n")


def test_there_is_room_for_one_score(rewrite: Rewrite) -> None:
    with pytest.raises(OptionError, match="room for one language model score, not a, b"):
        rewrite(OWN, lambda nbest: add("b", -1, -1, -1)(add("a", -1, -1, -1)(nbest)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-1 -2\n", "line 1: 2 fields, expected ascore lscore nwords w1 w2 ..."),
        ("-1 -2 1 a\n\n", "line 2: blank; a hypothesis without words has its scores at least"),
        ("x -2 1 a\n", "line 1, ascore (field 1): 'x' is no number"),
        ("-1 x 1 a\n", "line 1, lscore (field 2): 'x' is no number"),
        ("-1 -2 x a\n", "line 1, nwords (field 3): 'x' is no number"),
        ("NBestList1.0\n-1 a\n", "line 2, score (field 1): '-1', expected (SCORE)"),
        ("(x) a\n", "line 1, score (field 1): 'x' is no number"),
        (
            "(nan) a\n",
            "line 1, score (field 1): the score nan cannot be used; mend it or drop the feature",
        ),
        (
            "NBestList2.0\n(-1) a\n",
            "line 2: 2 fields, expected (SCORE) and 11 for each word: w ( st: S et: E g: G a: A )",
        ),
        (
            "NBestList2.0\n(-1) a ( st: 0 ex: 0 g: 0 a: 0 )\n",
            "line 2, 'a' (field 2): expected ( st: S et: E g: G a: A ) after it",
        ),
        (
            "NBestList2.0\n(-1) a ( st: 0 et: 0 g: 0 a: x )\n",
            "line 2, 'a' (field 2), a: 'x' is no number",
        ),
    ],
)
def test_bad_lines(read_text: Read, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_text(text, "srilm")
    assert str(caught.value).endswith(f"list, {message}")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("utt1", "utt1"),
        ("nbest/sw02.A.01.gz", "sw02.A.01"),
        ("/a/b/utt1.nbest.gz", "utt1"),
        ("utt1.score.xz", "utt1"),
    ],
)
def test_the_name_of_the_file_is_the_utterance(name: str, expected: str) -> None:
    assert utterance_id(name) == expected


MARKED = "-6 -14.6 5 <s> he passed the door </s>\n-6 -16.7 4 <s> he past the door </s>\n"


def test_marks_of_the_sentence_are_no_words(read_text: Read, rewrite: Rewrite) -> None:
    """As `lattice-tool -nbest-decode` writes them."""
    (nbest,) = read_text(MARKED)
    assert [h.text for h in nbest.hypotheses] == ["he passed the door", "he past the door"]
    assert rewrite(MARKED) == MARKED
    assert rewrite(MARKED, add("rnn", -LOG10, -2 * LOG10)) == (
        "-6 -1 5 <s> he passed the door </s>\n-6 -2 4 <s> he past the door </s>\n"
    )


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("NBestList1.0\n(1000) -pau- right -pau-\n", " 1 -pau- right -pau-\n"),
        ("-1 -2 3 -pau- right -pau-\n", " 1 -pau- right -pau-\n"),
        ("-1 -2 1 right\n", " 1 right\n"),
        ("NBestList1.0\n(1000) <s> right </s>\n", " 1 <s> right </s>\n"),
    ],
)
def test_removed_pauses_are_not_counted(tmp_path: Path, text: str, written: str) -> None:
    (tmp_path / "list").write_text(text)
    list_format, lists = read(tmp_path / "list", remove=["-pau-"])
    (nbest,) = lists
    assert nbest.hypotheses[0].features["nwords"] == 1
    rescored = nbest.with_feature("rnn", [-1.0])
    assert "".join(render(list_format, [rescored])).endswith(written)
