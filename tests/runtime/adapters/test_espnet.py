"""The scorer of ESPnet's beam search: batched as one by one, and in the real search."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from lmscore.errors import InputError
from lmscore.runtime.adapters.espnet import Scorer
from lmscore.runtime.model import LanguageModel
from tests.models import WORDS

ALL_WORDS = [*WORDS, *(f"w{i}" for i in range(25))]  # of the model
TOKENS = ["<blank>", "<unk>", *ALL_WORDS, "<sos/eos>"]
END = len(TOKENS) - 1
FEATURES = torch.zeros(7, 3)  # what the encoder would say: a language model does not care


def ids(text: str) -> list[int]:
    return [TOKENS.index(word) for word in text.split()]


def expected_scores(lm: LanguageModel, text: str) -> list[float]:
    """What each token scores after a text."""
    after = [f"{text} {token}".strip() for token in TOKENS[1:-1]]
    scores = [score.tokens[-1].log_prob for score in lm.score_batch(after, eos=False)]
    return [-math.inf, *scores, lm.score(text).tokens[-1].log_prob]


def test_one_by_one(lm: LanguageModel) -> None:
    scorer = Scorer(lm, TOKENS)
    scorer.init_state(FEATURES)
    state = None
    for text in ("", "the", "the cat", "the cat sat"):
        read = [END, *ids(text)]
        scores, state = scorer.score(torch.tensor(read), state, FEATURES)
        assert scores.dtype == torch.float32
        assert scores.tolist() == pytest.approx(expected_scores(lm, text), abs=1e-5)
    assert scorer.final_score(state) == 0


def test_batched(lm: LanguageModel) -> None:
    scorer = Scorer(lm, TOKENS)
    scores, states = scorer.batch_score(torch.tensor([[END], [END]]), [None, None], FEATURES)
    assert scores[0].tolist() == scores[1].tolist() == pytest.approx(expected_scores(lm, ""))
    # Hypotheses are copied, dropped and re-ordered, and come from different batches.
    texts = ["the cat", "a dog", "the dog"]
    firsts = [scorer.select_state(states, i) for i in (1, 0, 1)]
    alone = scorer.score(torch.tensor([END, *ids("a")]), firsts[1], FEATURES)[1]
    heads = torch.tensor([[END, *ids(text.split()[0])] for text in texts])
    _, seconds = scorer.batch_score(heads, firsts, FEATURES)
    full = torch.tensor([[END, *ids(text)] for text in texts])
    found, _ = scorer.batch_score(full, [seconds[2], alone, seconds[0]], FEATURES)
    for row, text in zip(found, texts, strict=True):
        assert row.tolist() == pytest.approx(expected_scores(lm, text), abs=1e-5)


def test_hypotheses_that_do_not_begin_at_the_beginning(lm: LanguageModel) -> None:
    scorer = Scorer(lm, TOKENS, skip_log_prob=-1.0)
    primed, state = scorer.score(torch.tensor([END, 0, *ids("the cat")]), None, FEATURES)
    assert primed.tolist()[1:] == pytest.approx(expected_scores(lm, "the cat")[1:], abs=1e-5)
    assert primed[0] == -1
    read = torch.tensor([END, *ids("the cat"), 0])  # a token that is no text changes nothing
    assert scorer.score(read, state, FEATURES)[0].tolist() == pytest.approx(primed.tolist())
    assert scorer.select_state(None, 3) is None


def test_a_token_out_of_range(lm: LanguageModel) -> None:
    with pytest.raises(InputError, match="token 99 is not one of the decoder's 60 tokens"):
        Scorer(lm, TOKENS).score(torch.tensor([END, 99]), None, FEATURES)


@pytest.mark.parametrize("batched", [False, True])
def test_the_search_finds_what_a_plain_one_finds(lm: LanguageModel, batched: bool) -> None:
    """With the language model alone."""
    name = "batch_beam_search" if batched else "beam_search"
    module = pytest.importorskip(f"espnet.nets.{name}", exc_type=ImportError)
    interface = pytest.importorskip("espnet.nets.scorer_interface", exc_type=ImportError)
    mixed: Any = type("RecurrentLM", (Scorer, interface.BatchScorerInterface), {})
    search = (module.BatchBeamSearch if batched else module.BeamSearch)(
        scorers={"lm": mixed(lm, TOKENS)},
        weights={"lm": 1.0},
        beam_size=20,
        vocab_size=len(TOKENS),
        sos=END,
        eos=END,
        token_list=TOKENS,
    )
    found = {
        " ".join(TOKENS[token] for token in hypothesis.yseq.tolist() if token != END): hypothesis
        for hypothesis in search(FEATURES[:3])
    }
    expected = plain_beam_search(lm, beam_size=20, steps=3)
    assert list(found)[:10] == list(expected)[:10]
    assert [float(found[text].score) for text in expected] == pytest.approx(
        list(expected.values()), abs=1e-4
    )


def plain_beam_search(lm: LanguageModel, *, beam_size: int, steps: int) -> dict[str, float]:
    """What ended, and what was cut (its end not scored), best first."""
    live, ended = {"": 0.0}, dict[str, float]()
    for _ in range(steps):
        grown = [
            (total + score, text, token)
            for text, total in live.items()
            for token, score in zip(TOKENS, expected_scores(lm, text), strict=True)
        ]
        best = sorted(grown, reverse=True)[:beam_size]
        ended |= {text: total for total, text, token in best if token == TOKENS[END]}
        live = {
            f"{text} {token}".strip(): total for total, text, token in best if token != TOKENS[END]
        }
    return dict(sorted({**ended, **live}.items(), key=lambda item: item[1], reverse=True))
