from __future__ import annotations

import math

import numpy as np
import pytest

from lmscore.errors import InputError, OptionError
from lmscore.runtime.adapters.vocabulary import Vocabulary
from lmscore.runtime.model import LanguageModel

TOKENS = ["<blank>", "the", "cat", "<unk>", "<sos/eos>"]


def test_each_token_finds_its_own(lm: LanguageModel) -> None:
    found = Vocabulary.match(lm, TOKENS, end="<sos/eos>", skip=["<blank>"])
    ids = [lm.tokenizer.encode(word)[0] for word in ("the", "cat", "zebra")]
    assert found.ids.tolist() == [-1, *ids, lm.config.eos_token_id]
    assert found.read([4, 1, 0, 2, 4]) == ids[:2]
    log_probs = np.arange(lm.vocab_size, dtype=np.float32)[None]
    scores = [-math.inf, *ids, lm.config.eos_token_id]
    assert found.scores(log_probs)[0].tolist() == scores
    assert [found.score(log_probs[0], token) for token in range(5)] == scores


def test_what_skipped_tokens_score(lm: LanguageModel) -> None:
    found = Vocabulary.match(lm, TOKENS, end=None, skip=TOKENS[::4], skip_log_prob=-2.0)
    scores = found.scores(np.zeros((2, lm.vocab_size), np.float32))
    assert scores.tolist() == [[-2.0, 0, 0, 0, -2.0]] * 2


def test_tokens_that_the_model_does_not_have(lm: LanguageModel) -> None:
    with pytest.raises(InputError) as error:
        Vocabulary.match(lm, [*TOKENS, *"abcdef"], end="<sos/eos>")
    assert str(error.value) == (
        f"6 of 11 tokens are not in the vocabulary of {lm.path} ('<blank>', 'b', 'c', 'd', 'e', "
        "...): train the model with the decoder's tokenizer, and skip what is no text"
    )


def test_options(lm: LanguageModel, backward_lm: LanguageModel) -> None:
    with pytest.raises(OptionError, match="'</s>', '<pad>': to end with or to skip, but not in"):
        Vocabulary.match(lm, TOKENS, end="</s>", skip=["<pad>", "<blank>"])
    for value in (0.5, math.nan):
        with pytest.raises(OptionError, match="skip_log_prob must be at most 0, not"):
            Vocabulary.match(lm, TOKENS, end=None, skip_log_prob=value)
    with pytest.raises(OptionError, match="a backward model"):
        Vocabulary.match(backward_lm, ["the"], end=None)


@pytest.mark.parametrize("token", [-1, 5])
def test_a_token_out_of_range(lm: LanguageModel, token: int) -> None:
    found = Vocabulary.match(lm, TOKENS, end="<sos/eos>", skip=["<blank>"])
    with pytest.raises(InputError, match=f"token {token} is not one of the decoder's 5 tokens"):
        found.read([token])
