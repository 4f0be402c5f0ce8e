"""Models for flashlight-text: with a state like its own, and in the real decoders."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lmscore
from lmscore.errors import InputError, OptionError
from lmscore.runtime.adapters.flashlight import LMState, TokenLM, WordLM
from lmscore.runtime.model import LanguageModel

TOKENS = ["-", " ", "a", "b"]  # the first is the blank


class FakeState:
    """As flashlight's: the same index leads to the same state."""

    def __init__(self) -> None:
        self.children: dict[int, FakeState] = {}

    def child(self, usr_index: int) -> FakeState:
        return self.children.setdefault(usr_index, FakeState())


def token_lm(lm: LanguageModel, **options: Any) -> TokenLM:
    return TokenLM(lm, TOKENS, FakeState, skip=["-"], **options)


def follow(model: TokenLM | WordLM, path: list[int]) -> tuple[LMState, list[float]]:
    """Score one index after another, from the beginning, and the end."""
    state, scores = model.start(), []
    for index in path:
        state, score = model.score(state, index)
        scores.append(score)
    return state, [*scores, model.finish(state)[1]]


@pytest.mark.parametrize("look_ahead", [1, 8])
def test_tokens_score_what_they_do_in_their_text(char_lm: LanguageModel, look_ahead: int) -> None:
    model = token_lm(char_lm, look_ahead=look_ahead)
    for text in ("a", "ab ba", "bb a b", ""):
        _, scores = follow(model, [TOKENS.index(character) for character in text])
        expected = [token.log_prob for token in char_lm.score(text).tokens]
        assert scores == pytest.approx(expected, abs=1e-5)


def test_all_tokens_after_a_state_cost_one_run(char_lm: LanguageModel) -> None:
    model = token_lm(char_lm)
    start = model.start()
    scores = [model.score(start, index)[1] for index in (1, 2, 3)]
    assert model.num_runs == 1
    assert scores == pytest.approx([char_lm.score(t).tokens[0].log_prob for t in (" ", "a", "b")])


def test_the_same_tokens_lead_to_the_same_state(char_lm: LanguageModel) -> None:
    model = token_lm(char_lm)
    start = model.start()
    state, score = model.score(start, 2)
    assert model.score(start, 2) == (state, score)
    assert model.score(start, 3)[0] is not state


def test_look_ahead_reads_what_is_asked_for_next(char_lm: LanguageModel) -> None:
    model, alone = token_lm(char_lm), token_lm(char_lm, look_ahead=1)
    for one in (model, alone):
        states = [one.start()]
        for _ in range(3):
            states = [one.score(state, index)[0] for state in states for index in (2, 3)]
    assert alone.num_runs == 1 + 2 + 4
    assert model.num_runs == 3


def test_tokens_to_skip_are_not_read(char_lm: LanguageModel) -> None:
    forbidden, free = token_lm(char_lm), token_lm(char_lm, skip_log_prob=-1.5)
    assert follow(forbidden, [2, 0, 3])[1][1] == -math.inf
    with_blank, without = follow(free, [2, 0, 3])[1], follow(free, [2, 3])[1]
    assert with_blank == pytest.approx([without[0], -1.5, *without[1:]])


def test_what_was_forgotten_is_read_again(char_lm: LanguageModel) -> None:
    model = token_lm(char_lm)
    model._readings.size = 1
    start = model.start()
    first = model.score(start, 2)[0]
    paths = [[2, 3, 1], [3, 3, 2], [2, 3, 2]]
    found = []
    for path in paths:
        state, total = start, 0.0
        for index in path:
            state, score = model.score(state, index)
            total += score
        found.append(total)
    texts = ["".join(TOKENS[index] for index in path) for path in paths]
    expected = [char_lm.score(text, eos=False).log_prob for text in texts]
    assert found == pytest.approx(expected, abs=1e-4)
    assert model.score(first, 3)[1] == pytest.approx(char_lm.score("ab").tokens[1].log_prob)


def test_a_new_text_forgets_the_one_before(char_lm: LanguageModel) -> None:
    model = token_lm(char_lm)
    state, _ = follow(model, [2])
    model.start()
    with pytest.raises(KeyError):
        model.score(state, 2)


def test_words_score_what_they_do_in_their_text(any_lm: LanguageModel) -> None:
    words = ["the", "cat", "zebra"]
    model = WordLM(any_lm, words, FakeState)
    for path in ([0, 1], [2, 0, 0], [], [0, 1]):
        text = " ".join(words[index] for index in path)
        expected = any_lm.score(text, context="sentence", words=True).words
        found = follow(model, path)[1]
        assert found == pytest.approx([word.log_prob for word in expected], abs=1e-4)
    assert model.scorer.steps.hits == 3  # of the first text, again


def test_errors(char_lm: LanguageModel, backward_lm: LanguageModel) -> None:
    model, words = token_lm(char_lm), WordLM(char_lm, ["the"], FakeState)
    with pytest.raises(OptionError, match="a recurrent model starts with <s>, not with nothing"):
        model.start(True)
    with pytest.raises(OptionError, match="starts with <s>"):
        words.start(True)
    with pytest.raises(InputError, match="token 4 is not one of the decoder's 4 tokens"):
        model.score(model.start(), 4)
    with pytest.raises(InputError, match="word 1 is not one of the 1 words"):
        words.score(words.start(), 1)
    with pytest.raises(OptionError, match="look_ahead must be"):
        token_lm(char_lm, look_ahead=0)
    with pytest.raises(OptionError, match="a backward model"):
        WordLM(backward_lm, ["the"], FakeState)


# In the real decoders


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("look_ahead", [1, 8])
def test_lexicon_free_decoding_finds_what_an_exhaustive_search_finds(
    char_lm: LanguageModel, seed: int, look_ahead: int
) -> None:
    decoder = pytest.importorskip("flashlight.lib.text.decoder")
    mixed: Any = type("RecurrentLM", (TokenLM, decoder.LM), {})
    model = mixed(char_lm, TOKENS, decoder.LMState, skip=["-"], look_ahead=look_ahead)
    log_probs = np.log(np.random.default_rng(seed).dirichlet(np.ones(len(TOKENS)), 5))
    emissions = log_probs.astype(np.float32)
    expected: dict[str, float] = defaultdict(lambda: -math.inf)
    for path in product(range(len(TOKENS)), repeat=len(emissions)):
        acoustic = float(emissions[np.arange(len(path)), path].sum())
        expected[_collapsed(path)] = max(expected[_collapsed(path)], acoustic)
    for text in expected:
        expected[text] += 1.5 * char_lm.score(text).log_prob
    best = max(expected, key=expected.__getitem__)

    options = decoder.LexiconFreeDecoderOptions(
        beam_size=5000,
        beam_size_token=len(TOKENS),
        beam_threshold=1e9,
        lm_weight=1.5,
        sil_score=0,
        log_add=False,
        criterion_type=decoder.CriterionType.CTC,
    )
    search = decoder.LexiconFreeDecoder(options, model, 0, 0, [])
    found = search.decode(emissions.ctypes.data, *emissions.shape)
    assert _collapsed(found[0].tokens[1:-1]) == best
    assert found[0].score == pytest.approx(expected[best], abs=1e-3)


HOMOPHONES = pytest.mark.parametrize(
    ("text", "sounds_like"),
    [("they went over there", "their"), ("this is their house", "there")],
)
LETTERS = ["-", "|", *"abcdefghijklmnopqrstuvwxyz"]


@HOMOPHONES
def test_lexicon_decoding_decides_between_homophones(text: str, sounds_like: str) -> None:
    decoder = pytest.importorskip("flashlight.lib.text.decoder")
    words = [*text.split(), sounds_like]
    mixed: Any = type("RecurrentLM", (WordLM, decoder.LM), {})
    model = mixed(lmscore.load(), words, decoder.LMState)
    emissions = _acoustics(text, sounds_like)
    assert sounds_like in _decoded(decoder, decoder.ZeroLM(), words, emissions)
    assert _decoded(decoder, model, words, emissions) == text
    assert model.scorer.steps.hits > 0


def _decoded(decoder: Any, model: Any, words: list[str], emissions: NDArray[np.float32]) -> str:
    trie = decoder.Trie(len(LETTERS), 1)
    for index, word in enumerate(words):
        score = model.score(model.start(False), index)[1]
        trie.insert([LETTERS.index(letter) for letter in [*word, "|"]], index, score)
    trie.smear(decoder.SmearingMode.MAX)
    options = decoder.LexiconDecoderOptions(
        beam_size=50,
        beam_size_token=len(LETTERS),
        beam_threshold=100,
        lm_weight=1.0,
        word_score=0,
        unk_score=-math.inf,
        sil_score=0,
        log_add=False,
        criterion_type=decoder.CriterionType.CTC,
    )
    search = decoder.LexiconDecoder(options, trie, model, 1, 0, -1, [], False)
    result = search.decode(emissions.ctypes.data, *emissions.shape)[0]
    return " ".join(words[index] for index in result.words if index >= 0)


@HOMOPHONES
def test_torchaudio_decides_between_homophones(tmp_path: Path, text: str, sounds_like: str) -> None:
    decoder = pytest.importorskip("torchaudio.models.decoder")
    torch = pytest.importorskip("torch")
    words = [*text.split(), sounds_like, "<unk>"]
    (tmp_path / "words.txt").write_text("\n".join(words))
    spelt = [f"{word} {' '.join(word)} |" for word in words[:-1]]
    (tmp_path / "lexicon.txt").write_text("\n".join(spelt))
    mixed: Any = type("RecurrentLM", (WordLM, decoder.CTCDecoderLM), {})
    search = decoder.ctc_decoder(
        lexicon=str(tmp_path / "lexicon.txt"),
        lm_dict=str(tmp_path / "words.txt"),
        tokens=LETTERS,
        lm=mixed(lmscore.load(), words, decoder.CTCDecoderLMState),
        lm_weight=1.0,
    )
    emissions = torch.from_numpy(_acoustics(text, sounds_like))[None]
    assert " ".join(search(emissions)[0][0].words) == text


def _collapsed(path: tuple[int, ...] | list[int]) -> str:
    """What CTC makes of an alignment."""
    kept = [token for i, token in enumerate(path) if i == 0 or token != path[i - 1]]
    return "".join(TOKENS[token] for token in kept if token != 0)


def _acoustics(text: str, sounds_like: str) -> NDArray[np.float32]:
    """A frame for each letter, and a blank; where two words differ, the wrong one wins."""
    (word,) = (w for w in text.split() if w[:3] == sounds_like[:3] and len(w) == len(sounds_like))
    wrong = text.replace(word, sounds_like)
    marked = [f"{line.replace(' ', '|')}|" for line in (text, wrong)]
    frames = np.full((2 * len(marked[0]), len(LETTERS)), 1e-4)
    for i, pair in enumerate(zip(*marked, strict=True)):
        frames[2 * i, LETTERS.index(pair[0])] += 0.4
        frames[2 * i, LETTERS.index(pair[1])] += 0.6
        frames[2 * i + 1, 0] += 1
    log_probs = np.log(frames / frames.sum(axis=1, keepdims=True))
    return np.asarray(log_probs, np.float32)
