"""Words: which tokens they are made of, and scores that sum to the sentence's."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.runtime.engine import Engine, Graph
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.scoring.score import Score
from lmscore.runtime.scoring.words import boundary_tokens, word_tokens
from tests.models import WORDS, make_model

TOLERANCE = 1e-4
SPACES = "ĉĊċČčĜĝĞğĠ"  # how byte-level tokens spell the ASCII characters that str.split splits at

WHITE = " \t\u00a0\u2003\u3000\u2028\x1c\x85"
texts = st.one_of(
    st.text(max_size=20),
    st.text(st.sampled_from(f"ab🐟é\u0301{WHITE}"), max_size=20),
    st.lists(st.sampled_from([*WORDS, *WHITE]), max_size=8).map(" ".join),
)
contexts = st.sampled_from(["sentence", "document"])


@pytest.fixture(scope="module")
def char_lm(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    path = tmp_path_factory.mktemp("char") / "model"
    return load(make_model(path, tokenizer="char", variants=("fp32",)).path)


@pytest.fixture(scope="module")
def models(
    lm: LanguageModel, bpe_lm: LanguageModel, char_lm: LanguageModel
) -> dict[str, LanguageModel]:
    return {"word": lm, "bpe": bpe_lm, "char": char_lm}


@pytest.mark.parametrize(
    ("text", "spans", "eos", "texts", "offsets", "owners"),
    [
        ("a bc", [(0, 1), (1, 4)], True, ["a", "bc", "</s>"], [(0, 1), (2, 4), (4, 4)], [0, 1, 2]),
        ("a bc", [(0, 1), (1, 4)], False, ["a", "bc"], [(0, 1), (2, 4)], [0, 1]),
        # White space belongs to the word after it, at the end to </s>, else to the last word.
        (
            " a  b ",
            [(i, i + 1) for i in range(6)],
            True,
            ["a", "b", "</s>"],
            None,
            [0, 0, 1, 1, 1, 2, 2],
        ),
        (" a  b ", [(i, i + 1) for i in range(6)], False, ["a", "b"], None, [0, 0, 1, 1, 1, 1]),
        ("  ", [(0, 1), (1, 2)], True, ["</s>"], [(2, 2)], [0, 0, 0]),
        ("  ", [(0, 1), (1, 2)], False, [""], [(2, 2)], [0, 0]),
        ("", [], True, ["</s>"], [(0, 0)], [0]),
        ("", [], False, [], [], []),
        # The bytes of one character; a token that ends with the white space after its word.
        (
            "🐟 é",
            [(0, 1), (0, 1), (1, 2), (2, 3), (2, 3)],
            False,
            ["🐟", "é"],
            None,
            [0, 0, 1, 1, 1],
        ),
        ("ab c", [(0, 1), (1, 3), (3, 4)], False, ["ab", "c"], None, [0, 0, 1]),
        # A token that reaches into several words joins them.
        ("a b c d", [(0, 1), (1, 2), (2, 6), (6, 7)], False, ["a", "b c", "d"], None, [0, 1, 1, 2]),
        ("a b", [(0, 3)], True, ["a b", "</s>"], [(0, 3), (3, 3)], [0, 1]),
        # Words that the tokenizer drops have no token; tokens without a character have a word.
        ("a b c", [(0, 1), (4, 5)], True, ["a", "b", "c", "</s>"], None, [0, 2, 3]),
        ("ab c", [(0, 0), (0, 2), (2, 2), (3, 4)], False, ["ab", "c"], None, [0, 0, 1, 1]),
    ],
)
def test_whose_tokens(
    text: str,
    spans: list[tuple[int, int]],
    eos: bool,
    texts: list[str],
    offsets: list[tuple[int, int]] | None,
    owners: list[int],
) -> None:
    found = word_tokens(text, np.array(spans, np.int64).reshape(-1, 2), eos=eos)
    assert found.texts == texts
    assert offsets in (None, found.spans)
    assert found.owners.tolist() == owners


def test_which_tokens_show_that_a_word_is_over(models: dict[str, LanguageModel]) -> None:
    def spelled(name: str) -> set[str]:
        lm = models[name]
        ids = boundary_tokens(lm.tokenizer, lm.config.bos_token_id)
        assert ids is not None
        return {lm.tokenizer.token(token) for token in ids.tolist()}

    assert spelled("char") == {" ", "</s>"}
    assert {"Ġ", "Ġs", "Ċ", "</s>"} <= spelled("bpe")
    assert not {"t", "he", "<s>"} & spelled("bpe")
    assert boundary_tokens(models["word"].tokenizer, models["word"].config.bos_token_id) is None


@pytest.mark.parametrize("name", ["word", "bpe", "char"])
@given(texts=st.lists(texts, min_size=1, max_size=4), bos=..., eos=..., context=contexts)
def test_words_sum_to_the_sentence(
    models: dict[str, LanguageModel],
    name: str,
    texts: list[str],
    bos: bool,
    eos: bool,
    context: Any,
) -> None:
    scores = models[name].score_batch(texts, bos=bos, eos=eos, context=context, words=True)
    for text, score in zip(texts, scores, strict=True):
        assert sum(word.log_prob for word in score.words) == pytest.approx(
            score.log_prob, rel=1e-9, abs=1e-9
        )
        assert sum(word.num_tokens for word in score.words) == score.num_tokens
        assert any(word.is_oov for word in score.words) == (score.num_oov > 0)
        assert_words_of(text, score, eos=eos)


def assert_words_of(text: str, score: Score, *, eos: bool) -> None:
    words = [word for word in score.words if word.start < word.end]
    assert [text[word.start : word.end] for word in words] == [word.text for word in words]
    assert [part for word in words for part in word.text.split()] == text.split()
    for word in score.words[len(words) :]:
        assert (word.start, word.end) == (len(text), len(text))
        assert word.text == ("</s>" if eos else "")


def by_hand(lm: LanguageModel, text: str, *, eos: bool) -> list[float]:
    """Word log-probs from the distributions that `step` gives, one word after another."""
    begins = [lm.tokenizer.token(i)[0] in SPACES for i in range(lm.vocab_size)]
    begins[lm.config.eos_token_id] = True
    words: list[float] = []
    token, state = lm.config.bos_token_id, lm.initial_state()
    for target in [*lm.tokenizer.encode(text).tolist(), *[lm.config.eos_token_id] * eos]:
        (log_probs,), state = lm.step([token], state)
        if begins[target] and words:
            over = float(np.log(np.exp(log_probs, dtype=np.float64)[begins].sum()))
            words[-1] += over
            words.append(-over)
        elif not words:
            words.append(0.0)
        words[-1] += float(log_probs[target])
        token = target
    return words


@given(st.lists(st.sampled_from([*WORDS, "fishes", "unknown", "é"]), max_size=6), st.booleans())
def test_words_by_brute_force(bpe_lm: LanguageModel, words: list[str], eos: bool) -> None:
    text = " ".join(words)
    score = bpe_lm.score(text, eos=eos, words=True)
    assert [word.text for word in score.words] == [*words, *["</s>"] * eos]
    found = [word.log_prob for word in score.words]
    assert found == pytest.approx(by_hand(bpe_lm, text, eos=eos), abs=TOLERANCE)


def test_probabilities_of_a_next_word_sum_to_one_at_most(char_lm: LanguageModel) -> None:
    """One-letter words after "a": each is a space, a letter, and the end of the word."""
    letters = [chr(code) for code in range(33, 127)]
    scores = char_lm.score_batch([f"a {letter}" for letter in letters], words=True)
    total = sum(np.exp(score.words[1].log_prob) for score in scores)
    end = np.exp(char_lm.score("a", words=True).words[1].log_prob)
    assert 0 < total + end < 1


def test_a_word_model_scores_its_tokens(lm: LanguageModel) -> None:
    score = lm.score("the  zebra sat", words=True)
    assert [word.log_prob for word in score.words] == [token.log_prob for token in score.tokens]
    assert [word.text for word in score.words] == ["the", "zebra", "sat", "</s>"]
    assert [(word.start, word.end) for word in score.words] == [(0, 3), (5, 10), (11, 14), (14, 14)]
    assert [word.is_oov for word in score.words] == [False, True, False, False]


def test_words_that_share_a_token_are_one_record(lm: LanguageModel) -> None:
    score = lm.score("the a\x1cb cat", words=True)  # white space for Python, not for tokenizers
    assert [word.text for word in score.words] == ["the", "a\x1cb", "cat", "</s>"]


def test_a_first_token_that_is_only_read_scores_nothing(lm: LanguageModel) -> None:
    first, second = lm.score("the cat", bos=False, eos=False, words=True).words
    assert (first.text, first.num_tokens, first.log_prob) == ("the", 0, 0.0)
    assert (second.text, second.num_tokens) == ("cat", 1)
    assert lm.score("", bos=False, words=True).words == ()
    assert isinstance(lm.score("", bos=False).log_prob, float)
    assert isinstance(lm.score("", eos=False).oov_log_prob, float)
    assert lm.score("the", bos=False, eos=False, words=True).words[0].num_tokens == 0


def test_the_end_of_an_empty_text_is_counted_where_it_is_scored(lm: LanguageModel) -> None:
    nothing = lm.score("", bos=False)
    assert (nothing.num_tokens, nothing.num_ends) == (0, 0)
    assert math.isnan(nothing.perplexity_per_word)
    assert lm.score("", prefix="the", bos=False).num_ends == lm.score("").num_ends == 1
    (split,) = lm.score_batch(["\n"], bos=False, split="lines")
    assert split.num_ends == 0
    summary = lm.summarize(["", "the cat"], bos=False)
    assert summary.ppl == pytest.approx(math.exp(-summary.log_prob / 3))
    assert (summary.tokens, summary.characters) == (2, len("the cat") + 1)
    assert summary.oov_rate == 0


def test_the_first_word_may_have_an_end_only(bpe_lm: LanguageModel) -> None:
    """Read without <s>, a word of one token is not scored, but that it ends there is."""
    first, _ = bpe_lm.score("a", bos=False, words=True).words
    begins = bpe_lm.tokenizer.begins_word
    log_probs, _ = bpe_lm.step(bpe_lm.tokenizer.encode("a"), bpe_lm.initial_state())
    assert first.num_tokens == 0
    assert first.log_prob == pytest.approx(np.log(np.exp(log_probs[0])[begins].sum()), abs=1e-5)


def test_words_alone_or_with_tokens_or_not_at_all(bpe_lm: LanguageModel) -> None:
    both = bpe_lm.score("thanks for all", words=True)
    lean = bpe_lm.score("thanks for all", words=True, tokens=False)
    assert (lean.tokens, lean.words) == ((), both.words)
    assert bpe_lm.score("thanks for all").words == ()


@pytest.mark.parametrize("budget", [1, 7])
@pytest.mark.parametrize("context", ["sentence", "document"])
def test_chunked_is_whole(
    bpe_lm: LanguageModel, context: Any, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["thanks for all the fish", "", "so long and thanks"]
    whole = bpe_lm.score_batch(lines, context=context, words=True)
    monkeypatch.setattr(Engine, "token_budget", budget)
    for score, other in zip(
        bpe_lm.score_batch(lines, context=context, words=True), whole, strict=True
    ):
        found = [word.log_prob for word in score.words]
        assert found == pytest.approx([word.log_prob for word in other.words], abs=TOLERANCE)


@pytest.mark.parametrize(
    ("name", "words", "fetched"),
    [("word", True, False), ("bpe", True, True), ("bpe", False, False)],
)
def test_full_distributions_are_fetched_where_they_are_needed(
    models: dict[str, LanguageModel],
    name: str,
    words: bool,
    fetched: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    run = Graph.run

    def watched(self: Graph, outputs: Any, *args: Any, **options: Any) -> Any:
        asked.extend(outputs)
        return run(self, outputs, *args, **options)

    monkeypatch.setattr(Graph, "run", watched)
    models[name].score("the cat", words=words)
    assert ("log_probs" in asked) == fetched


def test_of_int8(lm_int8: LanguageModel, bpe_model_path: Path) -> None:
    for model in (lm_int8, load(bpe_model_path, variant="int8")):
        score = model.score("the cat sat", words=True)
        assert sum(word.log_prob for word in score.words) == pytest.approx(score.log_prob)
