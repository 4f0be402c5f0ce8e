"""Lists of consecutive utterances: scored after what was chosen before, as one document."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmscore.errors import InputError, OptionError
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.lists.context import scored_in_context, state_after
from lmscore.runtime.rescoring.lists.features import Counts
from lmscore.runtime.rescoring.lists.nbest import Hypothesis, NBestList
from lmscore.runtime.rescoring.lists.weights import Weights
from tests.models import make_model

TEXTS = st.lists(st.sampled_from(["the", "cat", "sat", "zebra"]), max_size=4).map(" ".join)
Lists = list[list[tuple[str, float]]]
LISTS = st.lists(st.lists(st.tuples(TEXTS, st.floats(-5, 0)), max_size=4), max_size=5)
WEIGHTS = Weights({"am": 1.0, "lm": 0.5})


def make_lists(drawn: Lists) -> list[NBestList]:
    return [
        NBestList(str(i), tuple(Hypothesis(text, {"am": score}) for text, score in some))
        for i, some in enumerate(drawn)
    ]


@pytest.mark.parametrize("model", ["document", "sentence"])
@given(drawn=LISTS, eos=st.booleans())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_as_one_document(
    lm: LanguageModel, document_lm: LanguageModel, model: str, drawn: Lists, eos: bool
) -> None:
    used = document_lm if model == "document" else lm
    found = scored_in_context(make_lists(drawn), used, WEIGHTS, name="lm", eos=eos)
    said: list[str] = []
    for scored, some in zip(found, drawn, strict=True):
        totals = []
        for hypothesis, (text, score) in zip(scored.nbest.hypotheses, some, strict=True):
            document = used.score_batch([*said, text], context="document", eos=eos)
            assert hypothesis.features["lm"] == pytest.approx(document[-1].log_prob, abs=1e-4)
            totals.append(score + 0.5 * hypothesis.features["lm"])
        if some:
            said.append(some[totals.index(max(totals))][0])


def test_what_is_counted(document_lm: LanguageModel) -> None:
    lists = make_lists([[("THE CAT", 0.0), ("the zebra", 0.0)], []])
    found = scored_in_context(lists, document_lm, WEIGHTS, name="lm", prepare=str.lower)
    counts = sum((scored.counts for scored in found), Counts())
    assert (counts.lists, counts.hypotheses, counts.words, counts.tokens) == (2, 2, 4, 6)
    assert counts.oovs == {"lm": 1}
    assert counts.tokens_saved == 0


def test_state_after(document_lm: LanguageModel) -> None:
    """As step by step."""
    state = document_lm.initial_state()
    eos = document_lm.config.eos_token_id
    for token in [eos, *document_lm.tokenizer.encode("the cat").tolist(), eos]:
        _, state = document_lm.step([token], state)
    found = state_after(document_lm, "the cat", document_lm.initial_state())
    found = state_after(document_lm, "", found)
    for tensor, expected in zip(found.tensors, state.tensors, strict=True):
        np.testing.assert_allclose(tensor, expected, atol=1e-6)


def test_a_text_that_cannot_be_read(bpe_lm: LanguageModel) -> None:
    lists = make_lists([[("the", 0.0)], [("a", 0.0), ("\ud800", 0.0)]])
    with pytest.raises(InputError, match="list '1', hypothesis 2: lone surrogate"):
        list(scored_in_context(lists, bpe_lm, WEIGHTS, name="lm"))


def test_a_backward_model(tmp_path: Path) -> None:
    make_model(tmp_path / "model", direction="backward", variants=("fp32",))
    lists = make_lists([[("the", 0.0)]])
    with pytest.raises(OptionError, match="document context is not for a backward model"):
        list(scored_in_context(lists, load(tmp_path / "model"), WEIGHTS, name="lm"))
