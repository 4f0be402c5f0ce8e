"""Real decoders around a language model, and synthetic acoustics for them.

Each function takes a model, reference texts and a beam, and returns a function that decodes the
text of one number, the adapter's class, and its methods that the decoder calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmscore.runtime.model import LanguageModel

LETTERS = ["", " ", "'", *"abcdefghijklmnopqrstuvwxyz"]  # the first is the blank
CONFUSED = ["aeiouy", "bpd", "tdk", "mn", "sz", "gkc", "fvw", "lr"]
LIKELY_TOKENS = 30  # of the decoders of tokens, at each position


class Session(NamedTuple):
    """A decoder that is ready."""

    decode: Callable[[int], str]
    adapter: type
    methods: Sequence[str]
    kept: object = None  # what a decoder in C++ refers to, but does not own


def letter_frames(text: str, number: int) -> NDArray[np.float32]:
    """Log-probabilities of letters [frames, N]: a frame or two for each letter, and blanks.

    The peak is noisy, and letters that sound alike are near it: the best path has about one letter
    in fifteen wrong. At 20 ms a frame, 5 seconds have 75 letters, which is the speed of speech.
    """
    rng = np.random.default_rng(number)
    frames = []
    for letter in text:
        logits = rng.normal(0, 1.2, len(LETTERS))
        logits[LETTERS.index(letter)] += rng.normal(8, 1.5)
        for group in CONFUSED:
            if letter in group:
                for other in group.replace(letter, ""):
                    logits[LETTERS.index(other)] += rng.normal(3, 2)
        frames += [logits] * rng.integers(1, 3)
        for _ in range(rng.integers(1, 4)):
            blank = rng.normal(0, 1.2, len(LETTERS))
            blank[0] += 8
            blank[LETTERS.index(letter)] += rng.normal(3, 2)
            frames.append(blank)
    array = np.array(frames)
    array -= np.logaddexp.reduce(array, axis=1, keepdims=True)
    return np.ascontiguousarray(array, np.float32)


def token_frames(
    lm: LanguageModel, text: str, number: int
) -> tuple[list[int], NDArray[np.float32]]:
    """The tokens of a text, and log-probabilities of tokens [n, V]: 30 about as likely at each."""
    rng = np.random.default_rng(number)
    tokens = lm.tokenizer.encode(text).tolist()
    logits = rng.normal(-12, 1, (len(tokens), lm.vocab_size))
    for row, token in zip(logits, tokens, strict=True):
        row[rng.choice(lm.vocab_size, LIKELY_TOKENS, replace=False)] += 9
        row[token] = rng.normal(0.5, 1.5)
    logits -= np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return tokens, np.ascontiguousarray(logits, np.float32)


def pyctcdecode(lm: LanguageModel, texts: list[str], beams: int) -> Session:
    """The search over letters, with all words allowed; words of a frame in one batch."""
    from pyctcdecode import BeamSearchDecoderCTC

    from lmscore.runtime.adapters.pyctcdecode import BatchedBeams

    return _pyctcdecode(lm, texts, beams, type("Decoder", (BatchedBeams, BeamSearchDecoderCTC), {}))


def pyctcdecode_alone(lm: LanguageModel, texts: list[str], beams: int) -> Session:
    """The same without `BatchedBeams`."""
    from pyctcdecode import BeamSearchDecoderCTC

    return _pyctcdecode(lm, texts, beams, BeamSearchDecoderCTC)


def _pyctcdecode(lm: LanguageModel, texts: list[str], beams: int, decoder: Any) -> Session:
    from pyctcdecode import Alphabet

    from lmscore.runtime.adapters.pyctcdecode import LanguageModel as Adapter

    search = decoder(Alphabet.build_alphabet(LETTERS), Adapter(lm))
    frames = [letter_frames(text, number) for number, text in enumerate(texts)]
    methods = ["score", "score_partial_token", "score_ahead"]
    methods = [name for name in methods if hasattr(Adapter, name)]
    return Session(lambda n: search.decode(frames[n], beam_width=beams), Adapter, methods)


def flashlight_words(lm: LanguageModel, texts: list[str], beams: int) -> Session:
    """The search with a lexicon: the words of all texts."""
    from flashlight.lib.text import decoder

    from lmscore.runtime.adapters.flashlight import WordLM

    words = sorted({word for text in texts for word in text.split()})
    model = type("RecurrentLM", (WordLM, decoder.LM), {})(lm, words, decoder.LMState)
    trie = decoder.Trie(len(LETTERS), 1)
    start = model.start(False)
    for index, word in enumerate(words):
        spelt = [LETTERS.index(letter) for letter in [*word, " "]]
        trie.insert(spelt, index, model.score(start, index)[1])
    trie.smear(decoder.SmearingMode.MAX)
    options = decoder.LexiconDecoderOptions(
        beam_size=beams,
        beam_size_token=len(LETTERS),
        beam_threshold=50,
        lm_weight=0.5,
        word_score=0.5,
        unk_score=-math.inf,
        sil_score=0,
        log_add=False,
        criterion_type=decoder.CriterionType.CTC,
    )
    search = decoder.LexiconDecoder(options, trie, model, 1, 0, -1, [], False)
    frames = [letter_frames(f"{text} ", number) for number, text in enumerate(texts)]

    def decode(number: int) -> str:
        emissions = frames[number]
        best = search.decode(emissions.ctypes.data, *emissions.shape)[0]
        return " ".join(words[index] for index in best.words if index >= 0)

    return Session(decode, WordLM, ["score", "finish", "start"], model)


def flashlight_tokens(lm: LanguageModel, texts: list[str], beams: int) -> Session:
    """The lexicon-free search over the model's own tokens."""
    from flashlight.lib.text import decoder

    from lmscore.runtime.adapters.flashlight import TokenLM

    tokens = ["<blank>", *(lm.tokenizer.token(i) for i in range(lm.vocab_size))]
    mixed: Any = type("RecurrentLM", (TokenLM, decoder.LM), {})
    model = mixed(lm, tokens, decoder.LMState, skip=["<blank>"], skip_log_prob=0.0)
    options = decoder.LexiconFreeDecoderOptions(
        beam_size=beams,
        beam_size_token=LIKELY_TOKENS,
        beam_threshold=50,
        lm_weight=0.5,
        sil_score=0,
        log_add=False,
        criterion_type=decoder.CriterionType.CTC,
    )
    search = decoder.LexiconFreeDecoder(options, model, -1, 0, [])
    blank = math.log(0.01)
    frames = [
        np.ascontiguousarray(np.insert(token_frames(lm, text, number)[1], 0, blank, axis=1))
        for number, text in enumerate(texts)
    ]

    def decode(number: int) -> str:
        emissions = frames[number]
        best = search.decode(emissions.ctypes.data, *emissions.shape)[0]
        return lm.decode([token - 1 for token in best.tokens if token > 0])

    return Session(decode, TokenLM, ["score", "finish", "start"], model)


def espnet(lm: LanguageModel, texts: list[str], beams: int) -> Session:
    """The batched search over the model's own tokens, beside a scorer that reads from a table."""
    import torch
    from espnet.nets.batch_beam_search import BatchBeamSearch
    from espnet.nets.scorer_interface import BatchScorerInterface

    from lmscore.runtime.adapters.espnet import Scorer

    tokens = [lm.tokenizer.token(i) for i in range(lm.vocab_size)]
    end = lm.config.eos_token_id
    spelt = [token_frames(lm, text, number) for number, text in enumerate(texts)]

    class Acoustics(BatchScorerInterface):
        """Log-probabilities of the next token by the position alone."""

        def __init__(self, frames: NDArray[np.float32]) -> None:
            ending = np.full((1, frames.shape[1]), -20, np.float32)
            ending[0, end] = 0
            self.table = torch.from_numpy(np.concatenate((frames, ending)))

        def batch_score(self, ys: Any, states: Any, _: Any) -> Any:
            row = self.table[min(ys.shape[1], len(self.table)) - 1]
            return row.expand(len(ys), -1), states

    mixed: Any = type("RecurrentLM", (Scorer, BatchScorerInterface), {})

    def decode(number: int) -> str:
        ids, frames = spelt[number]
        search = BatchBeamSearch(
            scorers={"am": Acoustics(frames), "lm": mixed(lm, tokens, end=tokens[end], skip=[])},
            weights={"am": 1.0, "lm": 0.5},
            beam_size=beams,
            vocab_size=len(tokens),
            sos=end,
            eos=end,
            token_list=tokens,
        )
        best = search(torch.zeros(len(ids) + 1, 1))[0].yseq.tolist()
        return lm.decode([token for token in best if token != end])

    return Session(decode, Scorer, ["score", "batch_score", "select_state"])


SESSIONS = {
    "pyctcdecode": pyctcdecode,
    "pyctcdecode-alone": pyctcdecode_alone,
    "flashlight-words": flashlight_words,
    "flashlight-tokens": flashlight_tokens,
    "espnet": espnet,
}
