"""Texts that are token ids already have the scores of their strings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import InputError, OptionError
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.scoring import id_windows
from lmscore.runtime.text import Ids
from tests.models import WORDS, make_model

LINES = st.lists(st.lists(st.sampled_from([*WORDS, "é"]), max_size=6).map(" ".join), max_size=6)


@given(LINES, st.booleans(), st.booleans())
def test_the_scores_are_those_of_the_tokens(
    bpe_lm: LanguageModel, lines: list[str], bos: bool, eos: bool
) -> None:
    ids = [bpe_lm.encode(line) for line in lines]
    found = list(bpe_lm.score_ids(ids, bos=bos, eos=eos))
    for line, log_probs in zip(lines, found, strict=True):
        score = bpe_lm.score(line, bos=bos, eos=eos, context="sentence")
        assert log_probs.dtype == np.dtype(np.float32)
        assert len(log_probs) == score.num_tokens
        expected = [token.log_prob for token in score.tokens]
        assert log_probs.tolist() == pytest.approx(expected, abs=1e-5)


def test_every_kind_of_model(tmp_path: Path, lm: LanguageModel, document_lm: LanguageModel) -> None:
    bundle = make_model(tmp_path / "backward", variants=["fp32"], direction="backward")
    backward_lm = load(bundle.path, variant="fp32")
    for model in (lm, document_lm, backward_lm):
        (found,) = model.score_ids([model.encode("the cat sat")])
        score = model.score("the cat sat", context="sentence")
        assert found.tolist() == pytest.approx([token.log_prob for token in score.tokens], abs=1e-5)
    with pytest.raises(OptionError, match="backward"):
        backward_lm.score_ids([[1]], bos=False)


def test_a_kept_text_keeps_nothing_of_the_others(lm: LanguageModel) -> None:
    first, *_ = lm.score_ids([[3, 4], [5]])
    assert first.base is None


def test_ids_are_read_as_they_come(lm: LanguageModel) -> None:
    def bad() -> Iterator[list[int]]:
        yield [3]
        yield [3, lm.vocab_size]

    found = lm.score_ids(bad())
    with pytest.raises(InputError, match=rf"^text 2: token id {lm.vocab_size} is not in the voc"):
        list(found)
    with pytest.raises(InputError, match=r"^text 1"):
        list(lm.score_ids(["the cat"]))
    for nothing in ("the cat", 3):
        with pytest.raises(InputError, match="several lists of ids"):
            lm.score_ids(nothing)  # type: ignore[arg-type]
    assert list(lm.score_ids([])) == []


def test_windows_are_bounded() -> None:
    texts: list[Ids] = [np.zeros(40_000, np.int64)] * 3 + [np.zeros(1, np.int64)] * 5000
    sizes = [len(window) for window in id_windows(texts, 5)]
    assert sizes == [2, 2048, 2048, 905]
    assert [len(window) for window in id_windows(texts, 5, scale=2)] == [4096, 907]
