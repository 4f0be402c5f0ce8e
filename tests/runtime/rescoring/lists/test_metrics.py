"""Metrics: counts by hand, values as sacrebleu has them, sums for corpora."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from lmscore.errors import MissingExtraError, how_to_install
from lmscore.names import MetricName
from lmscore.runtime.rescoring.lists.metrics import METRICS, normalization
from tests.missing import hide_package

WER, CER = METRICS["wer"], METRICS["cer"]


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("show me flights to boston", [0, 0, 0, 5]),
        ("show flights to austin", [1, 1, 0, 5]),
        ("show me all the flights to boston", [0, 0, 2, 5]),
        ("", [0, 5, 0, 5]),
        ("  show  me flights\tto boston ", [0, 0, 0, 5]),
        ("Show me flights to boston", [1, 0, 0, 5]),
    ],
)
def test_word_errors_by_hand(text: str, counts: list[int]) -> None:
    assert WER.statistics([text], "show me flights to boston").tolist() == [counts]


def test_character_errors_by_hand() -> None:
    counts = CER.statistics(["ab xd", " ab  d", "abcd", ""], "ab cd").tolist()
    assert counts == [[1, 0, 0, 5], [0, 1, 0, 5], [0, 1, 0, 5], [0, 5, 0, 5]]


def test_error_rates_of_a_corpus_are_those_of_its_sums() -> None:
    counts = [WER.statistics(["a b c"], "a x c")[0], WER.statistics(["a b"], "a")[0]]
    assert float(WER.value(np.sum(counts, axis=0))) == 100 * 2 / 4
    assert WER.value(np.array(counts)).tolist() == pytest.approx([100 / 3, 100])


def test_words_where_nothing_was_said() -> None:
    assert WER.statistics(["a b"], "").tolist() == [[0, 0, 2, 0]]
    assert WER.value(WER.statistics(["a b", ""], "")).tolist() == [200, 0]


sentence = st.lists(st.sampled_from("a b cat dog. , the mat".split()), max_size=9).map(" ".join)


@given(st.lists(st.tuples(sentence, sentence), min_size=1, max_size=4))
@pytest.mark.parametrize(("name", "theirs"), [("bleu", BLEU(force=True)), ("chrf", CHRF())])
def test_translation_metrics_are_sacrebleus(
    name: MetricName, theirs: Any, pairs: list[tuple[str, str]]
) -> None:
    metric = METRICS[name]
    total = sum(metric.statistics([text], reference)[0] for text, reference in pairs)
    texts, references = zip(*pairs, strict=True)
    expected = theirs.corpus_score(texts, [references]).score
    assert float(metric.value(np.asarray(total))) == pytest.approx(expected, abs=1e-9)


def grams(units: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(units[i : i + n]) for i in range(len(units) - n + 1))


@given(sentence.filter(str.strip), sentence.filter(str.strip))
def test_statistics_of_translation_metrics_are_counts(text: str, reference: str) -> None:
    """Of chrF they come from a private function of sacrebleu, which may change."""
    characters = [*"".join(text.split())], [*"".join(reference.split())]
    expected = []
    for n in range(1, 7):
        ours, theirs = grams(characters[0], n), grams(characters[1], n)
        there = ours.total() if theirs else 0
        expected += [there, theirs.total(), (ours & theirs).total()]
    assert METRICS["chrf"].statistics([text], reference).tolist() == [expected]

    tokens = [re.findall(r"\w+|[.,]", each) for each in (text, reference)]
    counts = [grams(tokens[0], n) & grams(tokens[1], n) for n in range(1, 5)]
    totals = [grams(tokens[0], n) for n in range(1, 5)]
    assert METRICS["bleu"].statistics([text], reference).tolist() == [
        [*map(len, tokens), *(c.total() for c in counts), *(c.total() for c in totals)]
    ]


@pytest.mark.parametrize("name", METRICS)
def test_values_of_many_sums_at_once(name: MetricName) -> None:
    metric = METRICS[name]
    texts = ["the cat sat on the mat", "the cat sat", "", "a dog"]
    statistics = metric.statistics(texts, "the cat sat on a mat")
    assert statistics.shape[0] == 4
    alone = [float(metric.value(row)) for row in statistics]
    assert metric.value(statistics).tolist() == alone
    assert metric.value(statistics[None, :, :].astype(np.float64)).tolist() == [alone]
    best = max if metric.higher_is_better else min
    assert best(alone) == alone[0]


@pytest.mark.parametrize("name", METRICS)
def test_no_texts(name: MetricName) -> None:
    assert len(METRICS[name].statistics([], "a b")) == 0


def test_labels() -> None:
    assert WER.labels == ("substitutions", "deletions", "insertions", "words")
    assert CER.labels[-1] == "characters"
    assert METRICS["bleu"].labels == METRICS["chrf"].labels == ()


def test_normalization() -> None:
    text = "“Don't stop,” she said—the X-ray isn\u2019t 'here'."
    assert normalization()(text) == text
    assert normalization(ignore_case=True)("ÀB c") == "àb c"
    assert normalization(ignore_punctuation=True)(text) == (
        "Don't stop she said the X-ray isn\u2019t here"
    )
    assert normalization(ignore_case=True, ignore_punctuation=True)(" A , b ") == "a b"
    assert normalization(ignore_punctuation=True)("") == ""


@pytest.mark.parametrize(("name", "extra"), [("wer", "tune"), ("bleu", "mt"), ("chrf", "mt")])
def test_a_package_that_is_not_installed(
    name: MetricName, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = "rapidfuzz" if extra == "tune" else "sacrebleu"
    hide_package(monkeypatch, package)
    with pytest.raises(MissingExtraError) as caught:
        METRICS[name].statistics(["a"], "a")
    expected = f"this needs the package {package!r}: {how_to_install(extra)}"
    assert str(caught.value) == expected
