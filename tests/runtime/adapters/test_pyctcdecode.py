"""The language model of pyctcdecode, by itself, against an n-gram's, and in the real decoder.

pyctcdecode needs numpy < 2, so it is in an environment of its own or not at all.
"""

from __future__ import annotations

import math
import pickle
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lmscore
from lmscore.errors import InputError, MissingExtraError, OptionError
from lmscore.runtime.adapters.pyctcdecode import BatchedBeams, build_ctcdecoder
from lmscore.runtime.adapters.pyctcdecode import LanguageModel as Adapter
from lmscore.runtime.model import LanguageModel
from tests.missing import hide_package

LN10 = math.log(10)


def test_weights(lm: LanguageModel) -> None:
    model = Adapter(lm, alpha=0.7, beta=0.2, unk_score_offset=-3.0)
    expected = lm.score("the cat", words=True).words
    begin = model.get_start_state()
    the, state = model.score(begin, "the")
    cat, last = model.score(state, "cat", is_last_word=True)
    assert the == pytest.approx(0.7 * expected[0].log_prob + 0.2)
    assert cat == pytest.approx(0.7 * (expected[1].log_prob + expected[2].log_prob) + 0.2)
    assert model.score(state, "cat")[1] == last
    assert model.get_start_state() == begin
    unknown = lm.score("zebra", words=True).words[0].log_prob
    assert model.score(begin, "zebra")[0] == pytest.approx(0.7 * (unknown - 3 * LN10) + 0.2)


def test_the_end_alone(bpe_lm: LanguageModel) -> None:
    model = Adapter(bpe_lm, alpha=1.0, beta=5.0)
    score, _ = model.score(model.get_start_state(), "", is_last_word=True)
    assert score == pytest.approx(bpe_lm.score("").log_prob)
    assert model.score(model.get_start_state(), "") == (0.0, model.get_start_state())


def test_without_boundaries(bpe_lm: LanguageModel) -> None:
    model = Adapter(bpe_lm, alpha=1.0, beta=0.0, score_boundary=False)
    words = bpe_lm.score("the cat", bos=False, words=True).words
    the, state = model.score(model.get_start_state(), "the", is_last_word=True)
    assert the == pytest.approx(words[0].log_prob, abs=1e-5)
    assert model.score(state, "cat")[0] == pytest.approx(words[1].log_prob, abs=1e-5)


def test_words_that_there_are(bpe_lm: LanguageModel) -> None:
    model = Adapter(bpe_lm, ["fish", "the", "they", "a"], alpha=1.0, beta=0.0)
    without = Adapter(bpe_lm, alpha=1.0, beta=0.0)
    begin = model.get_start_state()
    for word, offset in (("they", 0.0), ("th", -10.0), ("zebra", -10.0), ("zz", -10.0)):
        known = without.score(begin, word)[0]
        assert model.score(begin, word)[0] == pytest.approx(known + offset * LN10)
    for part, penalty in (("the", 0), ("f", 0), ("fit", -10), ("thesaurus", -15), ("zz", -10)):
        assert model.score_partial_token(part) == penalty
        assert without.score_partial_token(part) == 0


def test_weights_change(bpe_lm: LanguageModel) -> None:
    model = Adapter(bpe_lm)
    model.reset_params(alpha=0.25, beta=None)
    assert model.weights == {
        "alpha": 0.25,
        "beta": 1.5,
        "unk_score_offset": -10.0,
        "score_boundary": True,
    }
    with pytest.raises(OptionError, match="no weight 'gamma'; there are alpha, beta"):
        model.reset_params(gamma=1.0)
    for value in (math.nan, "1"):
        with pytest.raises(OptionError, match="alpha must be a number"):
            model.reset_params(alpha=value)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="is not one word"):
        model.score(model.get_start_state(), "the cat")


def test_it_is_what_an_n_gram_model_would_be(bpe_lm: LanguageModel) -> None:
    """pyctcdecode's own class, around the drop-in for KenLM."""
    from lmscore.runtime.adapters import kenlm

    theirs = pytest.importorskip("pyctcdecode.language_model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theirs, "kenlm", kenlm, raising=False)
        unigrams = ["the", "cat", "fish"]
        one = theirs.LanguageModel(kenlm.Model.of(bpe_lm), unigrams, alpha=0.3, beta=0.9)
        two = Adapter(bpe_lm, unigrams, alpha=0.3, beta=0.9)
        states = [one.get_start_state(), two.get_start_state()]
        for word, is_last in (("the", False), ("zebra", False), ("fish", True)):
            found = [m.score(s, word, is_last) for m, s in zip((one, two), states, strict=True)]
            assert found[0][0] == pytest.approx(found[1][0])
            states = [state for _, state in found]
        for part in ("th", "thesauru", "z"):
            assert one.score_partial_token(part) == pytest.approx(two.score_partial_token(part))


class OneByOne:
    """The part of pyctcdecode's decoder that asks for scores."""

    def __init__(self, language_model: object) -> None:
        self._language_model: Any = language_model

    def _get_lm_beams(
        self,
        beams: Any,
        hotword_scorer: Any,
        scores: Any,
        partial_scores: Any,
        is_eos: bool = False,
    ) -> list[float]:
        assert (hotword_scorer, partial_scores) == ("hotwords", {})
        found = []
        for text, word, *_ in beams:
            key = (f"{text} {word}".strip(), is_eos)
            if key not in scores:
                score, history = self._language_model.score(scores[text, False][2], word, is_eos)
                scores[key] = (score, score, history)
            found.append(scores[key][0])
        return found


class Batched(BatchedBeams, OneByOne):
    """The same, with the mixed-in class."""


def test_the_words_of_a_frame_are_scored_in_one_batch(bpe_lm: LanguageModel) -> None:
    scores, runs = [], []
    for decoder in (OneByOne(Adapter(bpe_lm)), Batched(Adapter(bpe_lm))):
        start = decoder._language_model.get_start_state()
        cached = {("", False): (0.0, 0.0, start)}
        seen: list[int] = []
        with bpe_lm.engine.observe(lambda rows, _, seen=seen: seen.append(rows)):  # type: ignore[misc]
            frame = [("", word, "x", "x") for word in ("the", "fish", "so", "long", "the", "")]
            first = decoder._get_lm_beams(frame, "hotwords", cached, {})
            frame = [("the", word, "", "") for word in ("fish", "", "fishes")] + frame
            last = decoder._get_lm_beams(frame, "hotwords", cached, {}, is_eos=True)
        scores.append(first + last)
        runs.append(len(seen))
    assert scores[1] == pytest.approx(scores[0], abs=1e-5)
    assert runs[1] < runs[0] / 2


def test_other_models_are_asked_as_always() -> None:
    class Other:
        def score(self, state: int, word: str, is_eos: bool) -> tuple[float, int]:
            return float(len(word)), state + 1

    start: Any = {("", False): (0, 0, 0)}
    found = Batched(Other())._get_lm_beams([("", "the")], "hotwords", start, {})
    assert found == [3.0]


def test_nothing_to_mix_into() -> None:
    with pytest.raises(OptionError, match="must be mixed into the BeamSearchDecoderCTC"):
        BatchedBeams()


LABELS = ["", " ", "a", "b"]  # the first is the blank


def real_decoders() -> list[Any]:
    """pyctcdecode's decoder, as it is and with words in batches."""
    package = pytest.importorskip("pyctcdecode")
    plain = package.BeamSearchDecoderCTC
    return [plain, type("Decoder", (BatchedBeams, plain), {})]


@pytest.mark.parametrize("seed", range(4))
def test_the_decoder_finds_what_an_exhaustive_search_finds(
    bpe_lm: LanguageModel, seed: int
) -> None:
    package = pytest.importorskip("pyctcdecode")
    model = Adapter(bpe_lm, alpha=2.0, beta=1.0)
    log_probs = np.log(np.random.default_rng(seed).dirichlet(np.ones(len(LABELS)), 5))
    expected: dict[str, float] = {}
    for path in product(range(len(LABELS)), repeat=len(log_probs)):
        text = " ".join(_collapsed(path).split())
        acoustic = float(log_probs[np.arange(len(path)), path].sum())
        expected[text] = np.logaddexp(expected.get(text, -np.inf), acoustic)
    for text in expected:
        expected[text] += 2.0 * bpe_lm.score(text).log_prob + len(text.split())
    best = max(expected, key=expected.__getitem__)

    for kind in real_decoders():
        decoder = kind(package.Alphabet.build_alphabet(LABELS), model)
        (text, state, _, _, total), *_ = decoder.decode_beams(
            log_probs, beam_width=10_000, beam_prune_logp=-1e9, token_min_logp=-1e9
        )
        assert text == best
        assert total == pytest.approx(expected[best], abs=1e-3)
        assert state is None or pickle.loads(pickle.dumps(state)) == state


def _collapsed(path: tuple[int, ...]) -> str:
    """What CTC makes of an alignment."""
    kept = [label for i, label in enumerate(path) if i == 0 or label != path[i - 1]]
    return "".join(LABELS[label] for label in kept)


@pytest.mark.parametrize(
    ("text", "sounds_like"),
    [("they went over there", "their"), ("this is their house", "there")],
)
def test_the_model_decides_between_homophones(text: str, sounds_like: str) -> None:
    package = pytest.importorskip("pyctcdecode")
    labels = ["", " ", *"abcdefghijklmnopqrstuvwxyz"]
    logits = _acoustics(labels, text, sounds_like)
    alphabet = package.Alphabet.build_alphabet(labels)
    alone = package.BeamSearchDecoderCTC(alphabet).decode(logits)
    assert sounds_like in alone
    unigrams = [*text.split(), sounds_like]
    lm = lmscore.load()
    plain, batched = real_decoders()
    assert batched(alphabet, Adapter(lm, unigrams)).decode(logits) == text
    model = Adapter(lm, unigrams)
    decoder = plain(alphabet, model)
    assert decoder.decode(logits) == text
    assert model.scorer.readings.hits > model.scorer.readings.misses / 2
    misses = model.scorer.steps.misses
    assert decoder.decode(logits) == text
    assert model.scorer.steps.misses == misses


def _acoustics(labels: list[str], text: str, sounds_like: str) -> NDArray[np.float64]:
    """A frame for each character, and a blank; where two words differ, the wrong one wins."""
    (word,) = (w for w in text.split() if w[:3] == sounds_like[:3] and len(w) == len(sounds_like))
    wrong = text.replace(word, sounds_like)
    frames = np.full((2 * len(text), len(labels)), 1e-4)
    for i, pair in enumerate(zip(text, wrong, strict=True)):
        frames[2 * i, labels.index(pair[0])] += 0.4
        frames[2 * i, labels.index(pair[1])] += 0.6
        frames[2 * i + 1, 0] += 1
    log_probs: NDArray[np.float64] = np.log(frames / frames.sum(axis=1, keepdims=True))
    return log_probs


def test_a_decoder_with_a_model_directory(bpe_lm: LanguageModel) -> None:
    pytest.importorskip("pyctcdecode")
    logits = np.log(np.random.default_rng(1).dirichlet(np.ones(len(LABELS)), 6))
    unigrams = ["a", "ab", "b"]
    (_, batched) = real_decoders()
    package = pytest.importorskip("pyctcdecode")
    alphabet = package.Alphabet.build_alphabet(LABELS)
    for given, lm in ((bpe_lm, bpe_lm), (bpe_lm.path, lmscore.load(bpe_lm.path))):
        model = Adapter(lm, unigrams, alpha=0.75, beta=0.25, unk_score_offset=-4.0)
        expected = batched(alphabet, model).decode_beams(logits)
        decoder = build_ctcdecoder(LABELS, given, unigrams, 0.75, 0.25, -4.0)
        found = decoder.decode_beams(logits)
        assert [beam[0] for beam in found] == [beam[0] for beam in expected]
        assert [beam[-1] for beam in found] == pytest.approx([beam[-1] for beam in expected])


def test_the_decoder_is_not_installed(
    bpe_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide_package(monkeypatch, "pyctcdecode")
    with pytest.raises(MissingExtraError, match=r"package 'pyctcdecode': pip install pyctcdecode"):
        build_ctcdecoder(LABELS, bpe_lm)
