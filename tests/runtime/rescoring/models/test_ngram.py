"""N-gram models through the package kenlm."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterable
from math import exp, log
from pathlib import Path

import pytest

from lmscore.errors import InputError, InputFileError, MissingExtraError, ModelError, how_to_install
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.models.list_scorer import RecurrentScorer
from lmscore.runtime.rescoring.models.mixture import Mixture
from lmscore.runtime.rescoring.models.ngram import NgramScorer, is_ngram_file
from lmscore.runtime.scoring.score import Score

ARPA = r"""
\data\
ngram 1=5
ngram 2=3

\1-grams:
-1.0	</s>
-99	<s>	-0.5
-0.5	the	-0.25
-0.75	cat	-0.125
-2.0	<unk>

\2-grams:
-0.25	<s> the
-0.375	the cat
-0.0625	cat </s>

\end\
"""


@pytest.fixture(scope="module")
def arpa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("ngram") / "model.arpa", ARPA)


@pytest.fixture(scope="module")
def ngram(arpa: Path) -> NgramScorer:
    pytest.importorskip("kenlm")
    return NgramScorer.load("ngram", arpa)


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def in_base_10(score: Score) -> list[float]:
    return [word.log_prob / log(10) for word in score.words]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the cat", [-0.25, -0.375, -0.0625]),
        ("cat the", [-0.5 - 0.75, -0.125 - 0.5, -0.25 - 1.0]),  # backed off
        ("", [-0.5 - 1.0]),
        ("dog cat", [-0.5 - 2.0, -0.75, -0.0625]),
        ("<unk> cat", [-0.5 - 2.0, -0.75, -0.0625]),
    ],
)
def test_scores_by_hand(ngram: NgramScorer, text: str, expected: list[float]) -> None:
    (score,) = ngram.score_stream([text])
    assert in_base_10(score) == pytest.approx(expected)
    assert score.log_prob / log(10) == pytest.approx(sum(expected))
    assert (score.num_tokens, score.num_words) == (len(expected), len(text.split()))


def test_unknown_words_are_counted(ngram: NgramScorer) -> None:
    (score,) = ngram.score_stream(["dog cat"])
    assert [word.is_oov for word in score.words] == [True, False, False]
    assert score.num_oov == 1
    assert score.oov_log_prob / log(10) == pytest.approx(-2.5)


def test_without_an_unknown_word_in_the_model(tmp_path: Path) -> None:
    pytest.importorskip("kenlm")
    closed = ARPA.replace("-2.0\t<unk>\n", "").replace("ngram 1=5", "ngram 1=4")
    path = written(tmp_path / "a", closed)
    for scorer, cost in [
        (NgramScorer.load("ngram", path), 100.0),
        (NgramScorer.load("ngram", path, unk_penalty=3 * log(10)), 3.0),
    ]:
        (score,) = scorer.score_stream(["dog"])
        assert in_base_10(score) == pytest.approx([-0.5 - cost, -1.0], abs=1e-4)
        assert score.num_oov == 1
        assert scorer.unk_penalty == pytest.approx(cost * log(10))


def test_an_unknown_word_of_the_model_keeps_its_probability(arpa: Path) -> None:
    pytest.importorskip("kenlm")
    scorer = NgramScorer.load("ngram", arpa, unk_penalty=1.0)
    assert scorer.unk_penalty is None
    (score,) = scorer.score_stream(["dog cat"])
    assert in_base_10(score) == pytest.approx([-0.5 - 2.0, -0.75, -0.0625])


def test_without_the_end(arpa: Path) -> None:
    pytest.importorskip("kenlm")
    (score,) = NgramScorer.load("ngram", arpa, eos=False).score_stream(["the cat"])
    assert in_base_10(score) == pytest.approx([-0.25, -0.375])
    assert score.num_ends == 0


@pytest.mark.parametrize("word", ["<s>", "</s>", "cat\0", "\0"])
def test_text_is_text(ngram: NgramScorer, word: str) -> None:
    control, unknown = ngram.score_stream([f"the {word} cat", "the dog cat"])
    assert control.log_prob == unknown.log_prob
    assert (control.words[1].text, control.words[1].is_oov) == (word, True)


def test_words_are_those_of_str_split(ngram: NgramScorer) -> None:
    text = " the\u00a0cat\u3000"
    (score,) = ngram.score_stream([text])
    assert in_base_10(score) == pytest.approx([-0.25, -0.375, -0.0625])
    assert [word.text for word in score.words] == ["the", "cat", "</s>"]
    assert [text[word.start : word.end] for word in score.words] == ["the", "cat", ""]


def test_kenlm_itself_agrees(ngram: NgramScorer) -> None:
    for score in ngram.score_stream(["the cat the dog", "cat cat", ""]):
        expected = [found[0] for found in ngram.model.full_scores(score.text)]
        assert in_base_10(score) == pytest.approx(expected)


def test_lists_are_scored_in_their_order(ngram: NgramScorer) -> None:
    lists = [["the", "cat", "the"], [], ["cat"]]
    found = [some.scores for some in ngram.score_lists(lists)]
    assert found == [list(ngram.score_stream(some)) for some in lists]


def test_compressed(arpa: Path, tmp_path: Path) -> None:
    pytest.importorskip("kenlm")
    path = tmp_path / "model.arpa.gz"
    path.write_bytes(gzip.compress(arpa.read_bytes()))
    assert is_ngram_file(path)
    (score,) = NgramScorer.load("ngram", path).score_stream(["the"])
    assert in_base_10(score) == pytest.approx([-0.25, -0.25 - 1.0])


def test_it_can_be_mixed_with_a_model_of_subwords(
    ngram: NgramScorer, bpe_lm: LanguageModel
) -> None:
    rnn = RecurrentScorer("rnn", bpe_lm)
    (score,) = Mixture("mix", (ngram, rnn), (0.5, 0.5)).score_batch(["the dog"])
    the, dog, end = (exp(word.log_prob) for word in next(rnn.score_stream(["the dog"])).words)
    assert [exp(word.log_prob) for word in score.words] == pytest.approx(
        [(10**-0.25 + the) / 2, dog / 2, (10**-1.0 + end) / 2]
    )
    assert score.num_oov == 0


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a", "\ud800"], "text 2: lone surrogate, not valid Unicode"),
        (["a", 5], "text 2: expected a string, got int"),
    ],
)
def test_what_is_no_text(ngram: NgramScorer, texts: Iterable[str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        list(ngram.score_stream(texts))
    assert str(caught.value) == message


def test_a_list_with_what_is_no_text(ngram: NgramScorer) -> None:
    with pytest.raises(InputError) as caught:
        list(ngram.score_lists([["the"], ["the", "cat", "\ud800"]]))
    assert str(caught.value) == "list 2, hypothesis 3: lone surrogate, not valid Unicode"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (ARPA.encode(), True),
        (b"\\data\\\r\nngram 1=1\r\n", True),
        (b"mmap lm http://kheafield.com/code format version 5\n\0", True),
        (b"the cat sat\n", False),
        (b"", False),
        (b"\\database\\", False),
    ],
)
def test_files_are_told_by_content(content: bytes, expected: bool, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    assert is_ngram_file(tmp_path / "file") == expected


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="no such file"):
        is_ngram_file(tmp_path / "none")


@pytest.mark.parametrize(
    "content", [ARPA.replace("-0.5\t", "-0.5 "), "mmap lm http://kheafield.com"]
)
def test_damaged(tmp_path: Path, content: str) -> None:
    pytest.importorskip("kenlm")
    path = written(tmp_path / "bad", content)
    with pytest.raises(ModelError) as caught:
        NgramScorer.load("ngram", path)
    assert str(caught.value).startswith(f"{path}: Cannot read model")
    assert "\n" not in str(caught.value)


def test_kenlm_is_not_installed(arpa: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kenlm", None)
    with pytest.raises(MissingExtraError) as caught:
        NgramScorer.load("ngram", arpa)
    assert str(caught.value) == f"this needs the package 'kenlm': {how_to_install('kenlm')}"
