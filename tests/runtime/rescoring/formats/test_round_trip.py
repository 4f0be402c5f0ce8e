"""Lists drawn at random, written in every format by a few lines here, read and written back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmscore.runtime.rescoring.formats import read, render
from lmscore.runtime.rescoring.lists.nbest import NBestList

WORDS = ["a", "naïve", "日本", "a\u2028b", "|", "=", "x=1", "-1.5", "7", "[noise]", '"', "\\n"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)
SCORES = st.floats(-1e6, 0)
BEAM_SIZE = 2

Drawn = list[list[tuple[str, float]]]  # lists of texts and scores


@dataclass(frozen=True)
class Style:
    """How a writer lays out its files."""

    end: str  # of lines
    last_end: bool
    mark: bool  # for the byte order
    indent: int | None
    plain: bool  # all but ASCII escaped


STYLES = st.builds(
    Style,
    end=st.sampled_from(["\n", "\r\n"]),
    last_end=st.booleans(),
    mark=st.booleans(),
    indent=st.sampled_from([None, 0, 2]),
    plain=st.booleans(),
)


def lines(rows: list[str], style: Style) -> str:
    return style.end.join(rows) + style.end * style.last_end


def dumps(value: object, style: Style) -> str:
    text = json.dumps(value, indent=style.indent, ensure_ascii=style.plain)
    return text + "\n" * style.last_end


def numbered(drawn: Drawn) -> list[tuple[int, int, str, float]]:
    return [
        (i, rank, text, score)
        for i, nbest in enumerate(drawn)
        for rank, (text, score) in enumerate(nbest, 1)
    ]


def moses(drawn: Drawn, style: Style) -> str:
    rows = numbered(drawn)
    return lines(
        [f"{i} ||| {text} ||| lm= {s!r} d= 0 1 ||| {s!r}" for i, _, text, s in rows], style
    )


def nematus(drawn: Drawn, style: Style) -> str:
    return lines([f"{i} ||| {text} ||| {-s!r}" for i, _, text, s in numbered(drawn)], style)


def srilm(drawn: Drawn, style: Style) -> str:
    (nbest,) = drawn
    return lines([f"{s!r} -1 {len(text.split(' '))} {text}" for text, s in nbest], style)


def decipher(drawn: Drawn, style: Style) -> str:
    (nbest,) = drawn
    return lines(["NBestList1.0", *(f"({s!r}) {text}" for text, s in nbest)], style)


def kaldi(drawn: Drawn, style: Style) -> str:
    return lines([f"u{i}-{rank} {text}" for i, rank, text, _ in numbered(drawn)], style)


def tsv(drawn: Drawn, style: Style) -> str:
    return lines([f"u{i}\t{score!r}\t{text}" for i, _, text, score in numbered(drawn)], style)


def nemo(drawn: Drawn, style: Style) -> str:
    return lines([f"{text}\t{score!r}" for _, _, text, score in numbered(drawn)], style)


def jsonl(drawn: Drawn, style: Style) -> str:
    rows = [
        {"id": f"u{i}", "hypotheses": [{"text": t, "score": s, "x": [{}]} for t, s in nbest]}
        for i, nbest in enumerate(drawn)
    ]
    return lines([json.dumps(row, ensure_ascii=style.plain) for row in rows], style)


def espnet(drawn: Drawn, style: Style) -> str:
    utterances = {
        f"u{i}": {
            "output": [
                {"name": f"target1[{rank}]", "rec_text": f"{text}<eos>", "score": score}
                for rank, (text, score) in enumerate(nbest, 1)
            ]
        }
        for i, nbest in enumerate(drawn)
    }
    return dumps({"utts": utterances, "more": 1}, style)


def mlm_scoring(drawn: Drawn, style: Style) -> str:
    utterances = {
        f"u{i}": {
            f"hyp_{rank}": {"score": score, "text": text}
            for rank, (text, score) in enumerate(nbest, 1)
        }
        | {"ref": "x"}
        for i, nbest in enumerate(drawn)
    }
    return dumps(utterances, style)


def hyporadise(drawn: Drawn, style: Style) -> str:
    items = [
        {"input": [text for text, _ in nbest], "am_score": [s for _, s in nbest], "output": "x"}
        for nbest in drawn
    ]
    return dumps(items, style)


def fairseq(drawn: Drawn, style: Style) -> str:
    rows = ["2021-08-31 20:24:21 | INFO | x"]
    for i, nbest in enumerate(drawn):
        rows += [f"S-{i}\tsource", f"T-{i}\tx"]
        for text, score in nbest:
            rows += [f"H-{i}\t{score!r}\tt@@ s", f"D-{i}\t{score!r}\t{text}", f"P-{i}\t-1 -2.5"]
    return lines([*rows, "Generate test with beam=5: BLEU4 = 1"], style)


def wenet(drawn: Drawn, style: Style) -> str:
    rows = []
    for i, nbest in enumerate(drawn):
        rows += [f"wav u{i}", *(f"candidate {score!r} {text}" for text, score in nbest)]
    return lines(rows, style)


def julius(drawn: Drawn, style: Style) -> str:
    rows = []
    for i, nbest in enumerate(drawn):
        rows += ["", f"### input {i}"]
        for rank, (text, score) in enumerate(nbest, 1):
            rows += [f"sentence{rank}: {text}", f"cmscore{rank}: 0.5", f"score{rank}: {score!r}"]
    return lines([*rows, ""], style)


def plain(drawn: Drawn, style: Style) -> str:
    return lines([text for nbest in drawn for text, _ in nbest], style)


MANY = st.lists(st.lists(st.tuples(TEXTS, SCORES), min_size=1, max_size=4), min_size=1, max_size=3)
PAIRS = st.lists(st.lists(st.tuples(TEXTS, SCORES), min_size=2, max_size=2), min_size=1, max_size=3)
SETS = PAIRS.map(  # a word of its own in each list: NeMo's lists are told apart by their words
    lambda drawn: [
        [(f"w{i} {text}".strip(), score) for text, score in nbest] for i, nbest in enumerate(drawn)
    ]
)
ONE = st.lists(st.lists(st.tuples(TEXTS, SCORES), min_size=1, max_size=4), min_size=1, max_size=1)
WRITERS: list[tuple[str, Callable[[Drawn, Style], str], st.SearchStrategy[Drawn]]] = [
    ("moses", moses, MANY),
    ("nematus", nematus, MANY),
    ("srilm", srilm, ONE),
    ("srilm", decipher, ONE),
    ("kaldi", kaldi, MANY),
    ("tsv", tsv, MANY),
    ("nemo", nemo, SETS),
    ("jsonl", jsonl, MANY),
    ("espnet", espnet, MANY),
    ("mlm-scoring", mlm_scoring, MANY),
    ("hyporadise", hyporadise, MANY),
    ("fairseq", fairseq, MANY),
    ("wenet", wenet, MANY),
    ("julius", julius, MANY),
    ("plain", plain, SETS),
]
parametrized = pytest.mark.parametrize(
    ("name", "writer", "drawn"), WRITERS, ids=[writer.__name__ for _, writer, _ in WRITERS]
)


@pytest.fixture(scope="module")
def reread(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[list[NBestList], str]]:
    """Read a text; the lists, and the text they are written as after a change."""
    path = tmp_path_factory.mktemp("lists") / "list"

    def reread(
        text: str, name: str, change: Callable[[NBestList], NBestList] = lambda nbest: nbest
    ) -> tuple[list[NBestList], str]:
        path.write_bytes(text.encode())
        beam_size = BEAM_SIZE if name in ("nemo", "plain") else None
        list_format, lists = read([path], name, beam_size=beam_size)
        found = list(lists)
        return found, "".join(render(list_format, map(change, found)))

    return reread


def texts(lists: list[NBestList]) -> list[list[str]]:
    return [[hypothesis.text for hypothesis in nbest.hypotheses] for nbest in lists]


@parametrized
@settings(max_examples=40)
@given(data=st.data(), style=STYLES)
def test_unchanged_lists_keep_every_byte(
    reread: Callable[..., tuple[list[NBestList], str]],
    name: str,
    writer: Callable[[Drawn, Style], str],
    drawn: st.SearchStrategy[Drawn],
    data: st.DataObject,
    style: Style,
) -> None:
    lists = data.draw(drawn)
    text = "\ufeff" * style.mark + writer(lists, style)
    found, written = reread(text, name)
    assert written == text
    assert texts(found) == [[hypothesis for hypothesis, _ in nbest] for nbest in lists]


@parametrized
@settings(max_examples=40)
@given(data=st.data(), style=STYLES)
def test_a_new_feature_and_a_new_order(
    reread: Callable[..., tuple[list[NBestList], str]],
    name: str,
    writer: Callable[[Drawn, Style], str],
    drawn: st.SearchStrategy[Drawn],
    data: st.DataObject,
    style: Style,
) -> None:
    lists = data.draw(drawn)

    def reverse(nbest: NBestList) -> NBestList:
        return nbest.reordered(range(len(nbest.hypotheses))[::-1])

    def rescore(nbest: NBestList) -> NBestList:
        return nbest.with_feature("rnn", [-2.5 * i for i, _ in enumerate(nbest.hypotheses)])

    found, reversed_text = reread(writer(lists, style), name, reverse)
    back, original = reread(reversed_text, name, reverse)
    assert texts(back) == [hypotheses[::-1] for hypotheses in texts(found)]
    assert texts(reread(original, name)[0]) == texts(found)
    if name == "kaldi":  # new scores go into an archive
        return
    _, rescored_text = reread(reversed_text, name, rescore)
    if name == "plain":
        name = "nemo"  # which a text with a score is
    again, _ = reread(rescored_text, name)
    assert texts(again) == texts(back)
    assert [nbest.id for nbest in again] == [nbest.id for nbest in found]
    column = {"tsv": "score2", "nemo": "score2", "srilm": "lscore"}.get(name, "rnn")
    if writer is plain:
        column = "score"
    for nbest in again:
        for i, hypothesis in enumerate(nbest.hypotheses):
            assert math.isclose(hypothesis.features[column], -2.5 * i)
