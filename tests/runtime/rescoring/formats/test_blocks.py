"""Lists of several lines a hypothesis: fairseq's, WeNet's and Julius's."""

from __future__ import annotations

import math

import pytest

from lmscore.errors import InputError, OptionError
from tests.runtime.rescoring.formats.conftest import Read, Rewrite, add, contents, order

LN2, LN10 = math.log(2), math.log(10)

FAIRSEQ = """2021-08-31 20:24:21 | INFO | fairseq.tasks.translation | loading
S-3\tguten Tag
T-3\tgood day
H-3\t-0.35\tgo@@ od day
D-3\t-0.35\tgood day
P-3\t-0.2000 -0.4000 -0.4500 -0.3500
A-3\t0-0 1-1
H-3\t-0.9\tgood bay
D-3\t-0.9\tgood bay
P-3\t-0.2000 -1.9000 -0.6000

S-0\tja
H-0\t-0.5\tyes
Generate test with beam=2: BLEU4 = 20.00
"""


def test_fairseq(read_text: Read) -> None:
    first, second = read_text(FAIRSEQ)
    assert (first.id, first.reference, second.id, second.reference) == ("3", "good day", "0", None)
    (good, mean), (bay, other) = contents(first)
    assert (good, bay) == ("good day", "good bay")
    assert mean == pytest.approx({"score": -0.35 * LN2, "total": -1.4 * LN2})
    assert other == pytest.approx({"score": -0.9 * LN2, "total": -2.7 * LN2})
    # Without the tokens' scores: the mean of the word and </s>.
    (text, scores) = contents(second)[0]
    assert text == "yes"
    assert scores == pytest.approx({"score": -0.5 * LN2, "total": -LN2})


def test_new_scores_of_fairseq(rewrite: Rewrite, read_text: Read) -> None:
    text = rewrite(FAIRSEQ, add("rnn", -3 * LN2, -4 * LN2))
    assert text == FAIRSEQ.replace("1-1\n", "1-1\nrnn-3\t-3.0\n").replace(
        "-0.6000\n", "-0.6000\nrnn-3\t-4.0\n"
    ).replace("\tyes\n", "\tyes\nrnn-0\t-3.0\n")
    assert [h.features["rnn"] for h in read_text(text)[0].hypotheses] == pytest.approx(
        [-3 * LN2, -4 * LN2]
    )
    again = rewrite(text, lambda nbest: order(*range(len(nbest.hypotheses))[::-1])(nbest))
    assert again.index("good bay") < again.index("rnn-3\t-4.0") < again.index("go@@ od")
    with pytest.raises(OptionError, match="'x-y' cannot name a line of fairseq's"):
        rewrite(FAIRSEQ, add("x-y", -1, -1))


WENET = """wav utt1
candidate -3.5 he passed the door
candidate -4.25 he past the door
wav utt2
wav utt3
candidate -0.5 yes
"""


def test_wenet(read_text: Read, rewrite: Rewrite) -> None:
    first, empty, last = read_text(WENET)
    assert contents(first) == [
        ("he passed the door", {"score": -3.5}),
        ("he past the door", {"score": -4.25}),
    ]
    assert (empty.id, empty.hypotheses, last.id) == ("utt2", (), "utt3")
    text = rewrite(WENET, add("rnn", -1, -2))
    assert text.startswith("wav utt1\ncandidate -3.5 he passed the door\nrnn -1.0\ncandidate -4.25")
    assert contents(read_text(text)[0])[1] == ("he past the door", {"score": -4.25, "rnn": -2.0})


# As Julius prints it with -n 2 -output 2 -separatescore.
JULIUS = """------
### read waveform input
pass1_best: <s> a boy </s>
pass1_best_score: -9029.1
### Recognition: 2nd pass (RL heuristic best-first)
sentence1: <s> a boy </s>
wseq1: <s> A+1 BOY+2 </s>
phseq1: sil | ah | b oy | sil
cmscore1: 1.000 0.500 0.500 1.000
score1: -9023.5 (AM: -8723.25  LM: -300.25)
sentence2: <s> a toy </s>
wseq2: <s> A+1 TOY+3 </s>
phseq2: sil | ah | t oy | sil
cmscore2: 1.000 0.500 0.500 1.000
score2: -9030.0 (AM: -8720.0  LM: -310.0)

------
sentence1: <s> yes </s>
score1: -100.0

2 files processed
"""


def test_julius(read_text: Read, rewrite: Rewrite) -> None:
    first, second = read_text(JULIUS)
    assert (first.id, second.id) == ("0", "1")
    (boy, scores), (toy, _) = contents(first)
    assert (boy, toy) == ("a boy", "a toy")
    parts = {"score": -9023.5, "am": -8723.25, "lm": -300.25}
    assert scores == pytest.approx({name: value * LN10 for name, value in parts.items()})
    assert second.hypotheses[0].text == "yes"
    assert second.hypotheses[0].features["score"] == pytest.approx(-100 * LN10)
    text = rewrite(JULIUS, add("rnn", -LN10, -2 * LN10))
    assert text.count("LM: -300.25)\nrnn1: -1.0\nsentence2") == 1
    assert read_text(text)[0].hypotheses[1].features["rnn"] == pytest.approx(-2 * LN10)


def test_inputs_of_which_julius_found_nothing(read_text: Read, rewrite: Rewrite) -> None:
    """They count, so that the references of the inputs after them stay theirs."""
    failed = "<search failed>\n"
    text = f"{failed}{JULIUS}<input rejected by short input>\n<input teminated by request>\n"
    lists = read_text(text)
    assert [(nbest.id, len(nbest.hypotheses)) for nbest in lists] == [
        ("0", 0),
        ("1", 2),
        ("2", 1),
        ("3", 0),
        ("4", 0),
    ]
    assert rewrite(text, lambda nbest: nbest) == text


def test_ranks_are_numbered_anew(rewrite: Rewrite) -> None:
    text = rewrite(JULIUS, lambda nbest: order(*range(len(nbest.hypotheses))[::-1])(nbest))
    assert (
        text.index("sentence1: <s> a toy") < text.index("cmscore1") < text.index("sentence2: <s> a")
    )
    assert "wseq2: <s> A+1 BOY+2" in text
    assert text.endswith("2 files processed\n")


def test_lines_of_a_sentence_by_number(read_text: Read, rewrite: Rewrite) -> None:
    first, second = read_text("a b\na c\nd\n\n", "plain", beam_size=2)
    assert [first.id, second.id] == ["0", "1"]
    assert contents(second) == [("d", {}), ("", {})]
    text = rewrite("a b\na c\n", add("rnn", -1, -2), input_format="plain", beam_size=2)
    assert text == "a b\t-1.0\na c\t-2.0\n"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("H-0\tx\ta\nP-0\t-1\n", {}, r"line 1, score \(field 2\): 'x' is no number"),
        ("H-0\t-1\ta\nP-0\t\n", {}, "line 1: the line P has no scores"),
        ("H-0\t-1\ta\nP-0\t-1 y\n", {}, "line 1, P: 'y' is no number"),
        ("wav u\ncandidate x a\n", {}, r"line 2, score \(field 2\): 'x' is no number"),
        ("wav u\nb\n", {"input_format": "wenet"}, "line 2: expected 'candidate', a score and"),
        ("wav u\ncandidate -1 a\nlm\n", {}, "line 3: expected a candidate, or the name of a"),
        ("a\n", {"input_format": "wenet"}, "line 1: expected 'wav' and an id"),
        ("sentence1: a\nscore1: -1 -2\n", {}, "line 2, score: expected a score, or a score"),
        ("a\nb\nc\n", {"input_format": "plain", "beam_size": 2}, "line 3: 3 lines are not a mul"),
    ],
)
def test_damage(read_text: Read, text: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=f"list, {message}"):
        read_text(text, **options)


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (WENET, "two words", "cannot name a line of a WeNet list"),
        (JULIUS, "score", "the list has a feature 'score' already"),
        (JULIUS, "lm2", "cannot name a line of Julius's"),
    ],
)
def test_names_that_cannot_be_written(rewrite: Rewrite, text: str, name: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        rewrite(text, add(name, -1, -2))


def test_a_number_of_lines_is_needed(read_text: Read) -> None:
    with pytest.raises(OptionError, match=r"its beam size \(`beam_size`\)"):
        read_text("a\n", "plain")
