"""Prompts and continuations of several lines, in models of documents."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tokenizers import pre_tokenizers

from lmscore.bundle import Config
from lmscore.errors import OptionError
from lmscore.runtime.decoding.text import Continuation, Prompt, lines_of
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.text import TextTokenizer
from tests.models import make_tokenizer


def scored(lm: LanguageModel, prompt: str, text: str, *, ended: bool) -> float:
    """The log-probability of a continuation, from the scores of the whole document."""
    lines, before = (prompt + text).split("\n"), prompt.split("\n")
    whole = lm.score_batch(lines)
    read = lm.score_batch(before)
    total = math.fsum(score.log_prob for score in whole) - math.fsum(s.log_prob for s in read)
    total += read[-1].tokens[-1].log_prob  # the prompt's last line was open
    return total if ended else total - whole[-1].tokens[-1].log_prob


@pytest.mark.parametrize("prompt", ["the cat", "", "the cat sat\nthe dog", "so long\n", "a\n\nthe"])
def test_samples_are_as_likely_as_the_lines_of_a_document(
    document_lm: LanguageModel, prompt: str
) -> None:
    reasons = set()
    options = {"max_lines": 3, "max_tokens": 60, "seed": 3}
    for sample in document_lm.sample(prompt, num_samples=6, **options):  # type: ignore[arg-type]
        reasons.add(sample.finish_reason)
        ends = sum(token.id == document_lm.config.eos_token_id for token in sample.tokens)
        ended = sample.finish_reason == "eos"
        assert ends == sample.text.count("\n") + ended
        assert ends == 3 or not ended
        wanted = scored(document_lm, prompt, sample.text, ended=ended)
        assert sample.log_prob == pytest.approx(wanted, abs=1e-3)
    assert reasons <= {"eos", "length"}
    first = document_lm.sample(prompt, **options)[0].text  # type: ignore[arg-type]
    assert "".join(document_lm.stream(prompt, **options)) == first  # type: ignore[arg-type]


def test_a_search_over_lines(document_lm: LanguageModel) -> None:
    prompt = "the cat\nthe"
    found = document_lm.beam_search(prompt, beam_size=3, max_lines=2, max_tokens=8)
    for sample in found:
        ended = sample.finish_reason == "eos"
        wanted = scored(document_lm, prompt, sample.text, ended=ended)
        assert sample.log_prob == pytest.approx(wanted, abs=1e-3)
        assert sample.text.count("\n") == 1 or not ended


def test_a_stop_string_may_be_a_line_break(document_lm: LanguageModel) -> None:
    options = {"max_lines": 9, "max_tokens": 300, "seed": 1}
    (whole,) = document_lm.sample("the", **options)  # type: ignore[arg-type]
    (line,) = document_lm.sample("the", stop=["\n"], **options)  # type: ignore[arg-type]
    assert "\n" in whole.text
    assert (line.text, line.finish_reason) == (whole.text.split("\n")[0], "stop")


def test_the_next_word_follows_all_lines(document_lm: LanguageModel) -> None:
    lm = document_lm
    ids = [*lm.encode("the cat"), lm.config.bos_token_id, *lm.encode("the")]
    log_probs = lm.engine.read(ids).log_probs[0]
    for word, probability in lm.next_words("the cat\r\nthe ", 5):
        token = lm.config.eos_token_id if word == "</s>" else int(lm.encode(word)[0])
        assert probability == pytest.approx(math.exp(log_probs[token]), rel=1e-4)


def test_lines_of_models_of_sentences_are_text(
    lm: LanguageModel, document_lm: LanguageModel
) -> None:
    assert lines_of("a\nb\rc", lm.config) == ["a\nb\rc"]
    assert lines_of("a\nb\rc\r\n", document_lm.config) == ["a", "b", "c", ""]


def test_the_space_that_begins_each_line_is_the_tokenizer_s_own(
    bpe_lm: LanguageModel,
) -> None:
    made = make_tokenizer("bpe", None, "sentence")
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    config: Config = bpe_lm.config
    tokenizer = TextTokenizer(made, config, source="made")
    words = tokenizer.encode("the cat").tolist()
    prompt = Prompt.read(tokenizer, "")
    growing = Continuation(tokenizer, prompt, unk_id=None, eos=config.eos_token_id, max_lines=2)
    for token in [*words, config.eos_token_id, *words, config.eos_token_id]:
        assert not growing.ended
        growing.add(token, -1.0)
    assert growing.ended
    assert growing.text == "the cat\nthe cat"


def test_mistakes(lm: LanguageModel, document_lm: LanguageModel) -> None:
    with pytest.raises(OptionError, match="max_lines goes with a model of documents"):
        lm.sample("the", max_lines=2)
    with pytest.raises(OptionError, match="max_lines goes with a model of documents"):
        lm.beam_search("the", max_lines=2)
    with pytest.raises(OptionError, match="does not go with allowed_words or pattern"):
        document_lm.sample("the", max_lines=2, pattern="a+")
    with pytest.raises(OptionError, match="does not go with allowed_words or pattern"):
        document_lm.beam_search("the", max_lines=2, allowed_words=["a"])
    with pytest.raises(OptionError, match="max_lines must be"):
        document_lm.sample("the", max_lines=0)


def test_repetitions_and_seeds_know_all_lines(document_lm: LanguageModel) -> None:
    prompt = Prompt.after_lines(document_lm.tokenizer, ["the cat", "a"], document_lm.config)
    ids = document_lm.encode("the cat a")
    assert set(ids.tolist()) <= set(prompt.all_ids.tolist())
    assert np.array_equal(prompt.ids, document_lm.encode("a"))
