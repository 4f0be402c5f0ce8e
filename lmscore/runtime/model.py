"""LanguageModel: scores of texts, distributions of the next token, and samples."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lmscore.bundle import CONTEXTS, Bundle, Config, Context
from lmscore.errors import InputError, ModelNotFoundError, OptionError
from lmscore.names import FeatureUnit, Pool, Segmentation, Split, Unit
from lmscore.runtime.arguments import (
    as_integers,
    check_argument,
    check_count,
    check_keywords,
    check_oov_cost,
)
from lmscore.runtime.engine import Engine, State
from lmscore.runtime.scoring import (
    Choice,
    Documents,
    FixedCost,
    OovCost,
    Score,
    Scorer,
    SpellingCost,
    Summary,
    TextMeasures,
    boundary_tokens,
    choose_among,
    id_windows,
    prefix_lead,
    windows,
)
from lmscore.runtime.text import Ids, TextTokenizer, check_text, each_text

if TYPE_CHECKING:  # functions import decoding when they need it: scoring starts without it
    from lmscore.bundle import Weights
    from lmscore.names import NextUnit
    from lmscore.runtime.decoding import (
        NextKeywords,
        NextOptions,
        Prompt,
        Sample,
        Sampler,
        SamplingKeywords,
        SamplingOptions,
    )
    from lmscore.runtime.inside import Embeddings, Inspection

_SEGMENTATIONS: tuple[Segmentation, ...] = get_args(Segmentation)
_SPLITS: tuple[Split, ...] = get_args(Split)
_UNITS: tuple[Unit, ...] = get_args(Unit)
_MEASURED_TEXTS = 2048  # of a window; each token has a pair for each alternative
_FEATURE_TEXTS = 512  # of a window; their states are kept together
_MOST_WORDS = 10_000  # of `next_words`: a search sorts and keeps them all


class ScoreOptions(TypedDict, total=False):
    """The options that `score` and `score_batch` pass to `LanguageModel.score_stream`."""

    bos: bool
    eos: bool
    context: Context | None
    tokens: bool
    words: bool
    joiner: str | None
    split: Split
    language: str
    oov_cost: float | LanguageModel | None
    segmentation: Segmentation


class LanguageModel:
    """A loaded model. Threads may share it; unpickling loads the same model from its path again.

    Attributes:
        config: the contents of config.json.
        tokenizer: turns text into token ids.
        engine: runs the graph on arrays: steps, best tokens, scores of targets.
    """

    def __init__(
        self,
        bundle: Bundle,
        engine: Engine,
        tokenizer: TextTokenizer,
        *,
        reload: Callable[[], LanguageModel],
        unk_penalty: float | None = None,
    ) -> None:
        """Use `lmscore.load` instead; `reload` loads this model again in another process."""
        self.config: Config = bundle.config
        self.tokenizer = tokenizer
        self.engine = engine
        self._path = bundle.path
        self._reload = reload
        self._unk_penalty = unk_penalty

    @property
    def path(self) -> Path:
        """The model directory."""
        return self._path

    @property
    def variant(self) -> str:
        """The graph in use: "int8", "fp32", ..."""
        return self.engine.variant

    @property
    def device(self) -> str:
        """The device that runs the graph: "cpu", "cuda:0"."""
        return self.engine.device

    @property
    def unnormalized(self) -> bool:
        """Whether texts are scored without the softmax."""
        return self.engine.unnormalized

    @property
    def unk_penalty(self) -> float | None:
        """What an unknown word costs (nats) in an ARPA file without <unk>; None for other models.

        It stands for -log P(<unk>), to which weights of backing off are added.
        """
        return self._unk_penalty

    @property
    def segmentation(self) -> Literal["spaces", "characters"]:
        """What a word is unless told: characters where the vocabulary writes none with spaces."""
        return "characters" if self.tokenizer.spaceless else "spaces"

    @property
    def vocab_size(self) -> int:
        """V, the number of tokens in the vocabulary."""
        return self.config.vocab_size

    def score(
        self, text: str, *, prefix: str | None = None, **options: Unpack[ScoreOptions]
    ) -> Score:
        """The log-probability of one text; options and errors as in `score_stream`."""
        check_keywords(options, ScoreOptions)
        (score,) = self.score_stream([text], prefix=prefix, **options)
        return score

    def score_batch(
        self,
        texts: Sequence[str],
        *,
        prefix: str | Iterable[str] | None = None,
        **options: Unpack[ScoreOptions],
    ) -> list[Score]:
        """The scores of several texts, in their order; options as in `score_stream`."""
        check_keywords(options, ScoreOptions)
        return list(self.score_stream(texts, prefix=prefix, **options))

    def score_stream(
        self,
        texts: Iterable[str],
        *,
        bos: bool = True,
        eos: bool = True,
        context: Context | None = None,
        tokens: bool = True,
        words: bool = False,
        prefix: str | Iterable[str] | None = None,
        joiner: str | None = None,
        split: Split = "none",
        language: str = "en",
        oov_cost: float | LanguageModel | None = None,
        segmentation: Segmentation = "auto",
        window: int | None = None,
    ) -> Iterator[Score]:
        """Score texts as they come, in their order, in bounded memory.

        Args:
            texts: one sentence each, of any length. All of it is text: strip the line ends of
                lines that come from an open file.
            bos: start each sentence from <s>. Without it, the first token is read, not scored.
            eos: score the end of sentence, </s>.
            context: "sentence" starts each text from the initial state, "document" carries the
                state from one text to the next. Default: what the model was trained for.
            tokens: fill `Score.tokens`; without, scoring is quicker and needs less memory.
            words: fill `Score.words`; slower in subword models, which read whole distributions.
            prefix: text read but not scored before each text: the beginning of its sentence, or in
                document context the sentence before. One for all texts, or one per text; an empty
                one is no prefix. With prefixes, texts do not pass on their state.
            joiner: put between the prefix and the text, and scored with the text, unless one of
                them is empty or there is white space already. Default: a space; nothing where
                the vocabulary spells a script without spaces.
            split: "lines" or "sentences" (extra `sentences`) scores the parts of each text as
                sentences and adds them up; blank parts are left out, and a blank text is one empty
                part. `Score.parts` has them; offsets are those in the whole text.
            language: the code of the language, "de" or "zh", that sentences are split by.
            oov_cost: what each <unk> costs beside -log P(<unk>): so many nats, or what the word or
                character that it stands for costs as a sentence of this model, of characters or
                subwords, so that P(<unk>) is shared out among all unknown words. In the
                log-probabilities of tokens, words and texts, and so in every perplexity with OOVs.
            segmentation: what a word is, in `Score.words` and all that is per word: "spaces", a
                piece of text between white space; "characters", a user-perceived character that is
                not white space; "auto", as the vocabulary has it: `LanguageModel.segmentation`.
            window: texts read before the first of them is scored; 1 answers each at once, more
                are quicker. Default: about two thousand, on a GPU up to eight times as many, and as
                many again while those are scored.

        Raises:
            InputError: an item is not a string that the model can read, or texts and prefixes
                differ in number; says which.
            OptionError: no such context, a joiner that is no string, a window below 1, or something
                that a backward model cannot do.
            ModelError: the model yields nan or inf.
        """
        if isinstance(texts, str):
            raise InputError("expected several texts, got one string; use score, or a list")
        texts = each_text(texts)
        if split not in _SPLITS:
            raise OptionError(f"split must be one of {', '.join(_SPLITS)}, not {split!r}")
        if split != "none" and prefix is not None:
            raise OptionError("split does not go with a prefix, which is of one sentence")
        if context is not None and context not in CONTEXTS:
            raise OptionError(f"context must be one of {', '.join(CONTEXTS)}, not {context!r}")
        if joiner is not None and not isinstance(joiner, str):
            raise OptionError(f"joiner must be a string, not {joiner!r}")
        if window is not None:
            check_count("window", window)
        characters = self._words_are_characters(segmentation)
        self._check_direction(bos, context, prefix)
        if (
            words
            and self.unnormalized
            and boundary_tokens(self.tokenizer, self.config.bos_token_id, characters=characters)
            is not None
        ):
            raise OptionError(
                f"{self.path}: the scores of words need whole distributions, in which the end of "
                "a word has many spellings: load the model without unnormalized"
            )
        scorer = Scorer(
            self.engine,
            self.tokenizer,
            bos=bos,
            eos=eos,
            context=context or self.config.context,
            tokens=tokens,
            words=words,
            joiner=self._joiner if joiner is None else joiner,
            ahead=1 if window is None else 0,
            oov_cost=self._oov_cost(oov_cost),
            characters=characters,
        )
        if prefix is not None and not isinstance(prefix, Iterable):
            raise InputError(f"prefix must be one string, or one per text, not {prefix!r}")
        one = prefix if isinstance(prefix, str) else None
        several = None if isinstance(prefix, str) else prefix
        scale = self.engine.window_scale
        carry = scorer.context == "document" and prefix is None
        if split != "none":
            whole = Documents(texts, split, language, tokens=tokens, words=words)
            cut = windows(whole.parts(), size=window, scale=scale)
            return whole.joined(scorer.stream(cut, None, carry=carry))
        cut = windows(texts, several, size=window, overhead=len(one or ""), scale=scale)
        return scorer.stream(cut, one, carry=carry)

    def score_ids(
        self, texts: Iterable[ArrayLike], *, bos: bool = True, eos: bool = True
    ) -> Iterator[NDArray[np.float32]]:
        """Score texts that are token ids already, as they come, each as a sentence of its own.

        What `score_stream` does beside tokenizing and adding up, for ids of `encode` or of a corpus
        that was tokenized once.

        Args:
            texts: int64 [n] each, in the order of the text, without <s> and </s>.
            bos: start each text from <s>. Without it, the first token is read, not scored.
            eos: score the end of sentence, </s>.

        Yields:
            For each text the log-probabilities float32 (nats) of its tokens, and of </s>.

        Raises:
            InputError: a text is no list of integers, or an id is not in the vocabulary; says
                which.
            OptionError: bos=False with a backward model.
            ModelError: the model yields nan or inf.
        """
        if isinstance(texts, str) or not isinstance(texts, Iterable):
            raise InputError(f"expected several lists of ids, got {type(texts).__name__}")
        self._check_direction(bos, None, None)
        scorer = Scorer(self.engine, self.tokenizer, bos=bos, eos=eos)
        cut = id_windows(texts, self.vocab_size, scale=self.engine.window_scale)
        return scorer.log_probs(cut)

    def perplexity(
        self, texts: Iterable[str], *, per: Unit = "word", **options: Unpack[ScoreOptions]
    ) -> float:
        """The perplexity over several texts, read as they come; `summarize` gives all figures.

        Args:
            texts: as in `score_stream`.
            per: "word", each scored </s> counted as one, "token", "character" or "byte".
            options: as in `score_stream`.

        Returns:
            nan where there is nothing to divide by, inf where a float is too small.

        Raises:
            OptionError: no such unit, or as in `score_stream`.
            InputError, ModelError: as in `score_stream`.
        """
        if per not in _UNITS:
            raise OptionError(f"per must be one of {', '.join(_UNITS)}, not {per!r}")
        return self.summarize(texts, **options).perplexity_per(per)

    def summarize(self, texts: Iterable[str], **options: Unpack[ScoreOptions]) -> Summary:
        """The totals over several texts, read as they come; options as in `score_stream`."""
        check_keywords(options, ScoreOptions)
        eos = options.get("eos", True)
        spelt = isinstance(options.get("oov_cost"), LanguageModel)
        summary = Summary(eos=eos, oovs_spelt=spelt)
        summary.extend(self.score_stream(texts, **{"tokens": False, **options}))  # type: ignore[arg-type]
        return summary

    def measure(
        self, text: str, *, alternatives: int = 0, segmentation: Segmentation = "auto"
    ) -> TextMeasures:
        """The entropy, rank and likeliest alternatives of every token and word of a text.

        The text is a sentence of its own: it begins with <s>, and </s> is measured too.

        Args:
            text: of any length.
            alternatives: the number of likeliest tokens that are given for each place.
            segmentation: what a word is, as in `score_stream`.

        Raises:
            InputError: the text is not a string that the model can read.
            OptionError: alternatives is not a number of tokens, or no such segmentation.
            ModelError: the model yields nan or inf.
        """
        check_text(text, 1)
        (found,) = self.measure_stream([text], alternatives=alternatives, segmentation=segmentation)
        return found

    def measure_stream(
        self,
        texts: Iterable[str],
        *,
        alternatives: int = 0,
        words: bool = False,
        segmentation: Segmentation = "auto",
        window: int | None = None,
    ) -> Iterator[TextMeasures]:
        """Measure texts as they come, in their order, each as `measure` does; with their scores.

        Distributions are measured in the run that scores the text, always with the softmax.

        Args:
            texts: one sentence each, of any length.
            alternatives: the number of likeliest tokens that are given for each place.
            words: fill `TextMeasures.score.words`; slower in subword models.
            segmentation: what a word is, as in `score_stream`.
            window: as in `score_stream`; by default fewer texts the more alternatives are given.

        Raises:
            InputError, ModelError: as `score_stream`.
            OptionError: alternatives is not a number of tokens, no such segmentation, or a window
                below 1.
        """
        texts = each_text(texts)
        V = self.vocab_size
        fits = f"an integer in 0..{V}"
        check_argument("alternatives", alternatives, Integral, lambda k: 0 <= k <= V, fits)
        if window is not None:
            check_count("window", window)
        scorer = Scorer(
            self.engine,
            self.tokenizer,
            tokens=True,
            words=words,
            ahead=1 if window is None else 0,
            alternatives=int(alternatives),
            characters=self._words_are_characters(segmentation),
        )
        most = max(1, _MEASURED_TEXTS // (1 + int(alternatives)))
        return scorer.measured(windows(texts, size=window or most))

    def choose(self, left: str, candidates: Sequence[str], right: str = "") -> list[Choice]:
        """Which of several candidates fits between two texts: all of them, best first.

        The text `left + candidate + right` is scored as a sentence of its own, so white space has
        to be in it. They are read as a prefix tree: beginnings that texts share are read
        once.

        Raises:
            InputError: there is no candidate, or a text is not a string that the model can read.
            ModelError: the model yields nan or inf.
        """
        return choose_among(self.engine, self.tokenizer, left, candidates, right)

    def features(
        self,
        text: str,
        *,
        unit: FeatureUnit = "sentence",
        pool: Pool = "mean",
        layers: Sequence[int] = (-1,),
    ) -> NDArray[np.float32]:
        """The features of one text; as `features_stream`."""
        check_text(text, 1)
        (found,) = self.features_stream([text], unit=unit, pool=pool, layers=layers)
        return found

    def features_stream(
        self,
        texts: Iterable[str],
        *,
        unit: FeatureUnit = "sentence",
        pool: Pool = "mean",
        layers: Sequence[int] = (-1,),
        window: int | None = None,
    ) -> Iterator[NDArray[np.float32]]:
        """Hidden states of texts as they come, in their order, for a classifier or tagger.

        The feature of a token is the output of the layers after <s>, the tokens before it and the
        token itself; in a backward model, after those behind it.

        Args:
            texts: one sentence each, of any length.
            unit: what has a feature: "token", "word" (pieces of the text between white space) or
                "sentence".
            pool: how the tokens of a word or sentence are joined: their "mean", the "last" one, or
                the largest value of each unit, "max".
            layers: the layers whose outputs are joined, from 0; negative ones count from the last.
            window: texts read before the first is answered.

        Yields:
            float32 [n, F] for n tokens or words, [F] for a sentence; F = number of layers * H.

        Raises:
            InputError: an item is not a string that the model can read; says which.
            OptionError: an option has an impossible value, or the model has no hidden states:
                a window, or gated-delta.
            ModelError: the model yields nan or inf.
        """
        from lmscore.runtime.inside import FeatureOptions, features_of

        texts = each_text(texts)
        if window is not None:
            check_count("window", window)
        asked = FeatureOptions(unit=unit, pool=pool, layers=layers).checked(self.engine)
        for part in windows(texts, size=window or _FEATURE_TEXTS):
            yield from features_of(self.engine, self.tokenizer, part.texts, asked, first=part.first)

    def inspect(self, text: str) -> Inspection:
        """The gates and states of every layer at each token of a text, from model.safetensors.

        Raises:
            InputError: the text is not a string that the model can read.
            ModelNotFoundError: the weights are not in the model directory.
            ModelError: the weights are damaged.
        """
        from lmscore.runtime.inside import inspect_text

        check_text(text, 1)
        return inspect_text(self.config, self._weights(), self.tokenizer, text)

    def embeddings(self) -> Embeddings:
        """The vectors of the vocabulary, from model.safetensors; errors as `inspect`."""
        from lmscore.runtime.inside import Embeddings

        return Embeddings(self._weights()["embedding.weight"], self.tokenizer)

    def _weights(self) -> Weights:
        from lmscore.bundle import load_weights

        if not self._path.is_dir():
            raise ModelNotFoundError(f"{self._path}: an n-gram model has no weights to look at")
        return load_weights(Bundle(self._path, self.config))

    def check_forward(self, what: str | None = None) -> None:
        """Raise OptionError if the model reads backward.

        `what` is the feature that needs a forward model, such as "a prefix"; default: continuing a
        text.
        """
        if self.config.direction == "forward":
            return
        if what is None:
            raise OptionError(
                f"{self.path}: a backward model reads texts from their end and cannot continue "
                "one; take a forward model"
            )
        raise OptionError(
            f"{self.path}: {what} is not for a backward model, which reads each sentence "
            "from its end"
        )

    def check_lines(self, max_lines: int) -> None:
        """Raise OptionError if more than one line is wanted of a model of sentences."""
        if max_lines > 1 and self.config.context != "document":
            raise OptionError(
                f"{self.path}: reads sentences on their own, so that a text is one line: max_lines "
                "goes with a model of documents"
            )

    def encode(self, text: str) -> Ids:
        """The token ids of a text, int64 [n], in the order of the text even in a backward model.

        Neither <s> nor </s> is added: see `config.bos_token_id` and `config.eos_token_id`. A typed
        "</s>" is text like any other: a word model reads it as <unk>.

        Raises:
            InputError: not a string, or a string that has no ids.
        """
        return self.tokenizer.encode(text)

    def decode(self, ids: ArrayLike) -> str:
        """The text that token ids [n] spell, in the order of the text; `encode` in reverse.

        The ids <s> and </s> add nothing, <unk> is spelt as in the vocabulary. Text that the
        tokenizer drops does not come back: a word model gives single spaces between words, for
        example. Bytes that are no UTF-8 become U+FFFD.

        Raises:
            InputError: the ids are not a list of integers, or not in the vocabulary.
        """
        return self.tokenizer.decode(as_integers("ids", ids))

    def initial_state(self, batch_size: int = 1) -> State:
        """The state before any token, of `batch_size` rows.

        Raises:
            OptionError: batch_size is below 1, or more than fits into memory.
        """
        check_count("batch_size", batch_size)
        try:
            return self.engine.initial_state(batch_size)
        except (MemoryError, ValueError) as error:
            raise OptionError(f"batch_size {batch_size} does not fit into memory") from error

    def step(
        self, tokens: ArrayLike, state: State, parents: ArrayLike | None = None
    ) -> tuple[NDArray[np.float32], State]:
        """Let each hypothesis read one token, and predict the next.

        Args:
            tokens: int64 [B], the token each hypothesis reads (<s> first).
            state: S rows; not changed.
            parents: int64 [B], the row of `state` that each hypothesis continues: they may be
                re-ordered, copied and dropped. Default: row b for hypothesis b.

        Returns:
            log_probs float32 [B, V] (nats) of the next token, and the state of B rows.

        Raises:
            InputError: an id or row is out of range, or sizes do not fit each other.
            ModelError: the model yields nan or inf.
        """
        return self.engine.step(tokens, state, parents)

    def sample(
        self, prompt: str = "", *, num_samples: int = 1, **options: Unpack[SamplingKeywords]
    ) -> list[Sample]:
        """Draw continuations of a prompt, all in one batch.

        `Sample.log_prob` is the model's own, whatever the options.

        Args:
            prompt: the text to continue; empty: the beginning of a sentence. After white space at
                its end a subword model expects no word, since its words bring their own. A model
                of documents reads each line of it as a sentence, and continues the last.
            num_samples: the number of independent continuations.
            options: `max_tokens`, `max_lines`, `temperature`, `top_k`, `top_p`, `min_p`,
                `repetition_penalty`, `stop`, `seed`, `allowed_words`, `pattern`, `unk`: see
                `lmscore.runtime.decoding.sampling.SamplingKeywords`.

        Raises:
            InputError: the prompt is not a string that the model can read.
            OptionError: an option has an impossible value.
            TypeError: there is no such option.
            MissingExtraError: allowed_words or pattern without llguidance.
            ModelError: the model yields nan or inf.
        """
        return self.sample_batch([prompt], num_samples=num_samples, **options)[0]

    def sample_batch(
        self, prompts: Sequence[str], *, num_samples: int = 1, **options: Unpack[SamplingKeywords]
    ) -> list[list[Sample]]:
        """The samples of several prompts, in one batch; options and errors as in `sample`.

        With a seed, each prompt gets the samples that `sample` draws for it.
        """
        from lmscore.runtime.decoding import SamplingOptions

        given = SamplingOptions.given(options, num_samples=num_samples)
        if isinstance(prompts, str):
            raise InputError("expected several prompts, got one string; use sample, or a list")
        if not isinstance(prompts, Iterable):
            raise InputError(f"expected several prompts, got {type(prompts).__name__}")
        read = [self._prompt(text, number) for number, text in enumerate(prompts, 1)]
        return self._sampler(given).sample(read)

    def stream(
        self, prompt: str = "", **options: Unpack[SamplingKeywords]
    ) -> Generator[str, None, None]:
        """Yield the text of one sample, in pieces; options and errors as in `sample`.

        No piece is empty or holds a part of a character. Text that may begin a stop string is held
        back until that is decided. A piece is computed when it is asked for. `close()` ends the
        sample early and frees its state; so does dropping the generator.
        """
        from lmscore.runtime.decoding import SamplingOptions

        given = SamplingOptions.given(options)
        return self._sampler(given).stream(self._prompt(prompt, 1))

    def beam_search(
        self,
        prompt: str = "",
        *,
        prefix: str = "",
        beam_size: int = 4,
        num_results: int | None = None,
        max_tokens: int = 100,
        length_penalty: float = 1.0,
        stop: Sequence[str] = (),
        allowed_words: Collection[str] | None = None,
        pattern: str | None = None,
        unk: bool = False,
        max_lines: int = 1,
    ) -> list[Sample]:
        """The likeliest continuations of a prompt that a beam search finds, best first.

        Each step keeps the best hypotheses, `beam_size` less the number that have ended, so a beam
        of 1 is greedy. The same text in other tokens is another hypothesis.

        Args:
            prompt: the text to continue; empty: the beginning of a sentence.
            prefix: the sentence before, for models of documents and of pairs: what a model of
                pairs is to translate, correct or spell.
            beam_size: the number of hypotheses kept.
            num_results: the number of results wanted. Default: beam_size.
            max_tokens: the length at which a hypothesis that has not ended is cut ("length").
            length_penalty: results are ordered by log_prob / num_tokens ** length_penalty, where
                </s> and the tokens of a stop string count: 0 orders by log-probability, 1 by
                log-probability per token (the normalisation by length that Wu et al. 2016, arXiv
                1609.08144, section 7, start from). It does not change what the beam keeps.
            stop: strings before which the text ends ("stop").
            allowed_words, pattern, unk, max_lines: as in `SamplingKeywords`.

        Returns:
            `num_results` samples, or fewer if the search finds fewer.

        Raises:
            InputError: the prompt is not a string that the model can read.
            OptionError: an option has an impossible value.
            MissingExtraError: allowed_words or pattern without llguidance.
            ModelError: the model yields nan or inf.
        """
        from lmscore.runtime.arguments import check_lines
        from lmscore.runtime.decoding import BeamOptions, BeamSearch, make_constraint

        check_text(prefix, 1, "prefix")
        if prefix and self.config.context != "document":
            raise OptionError(
                f"{self.path}: reads sentences on their own: put the prefix at the beginning of "
                "the prompt"
            )
        options = BeamOptions(
            beam_size=beam_size,
            num_results=beam_size if num_results is None else num_results,
            max_tokens=max_tokens,
            length_penalty=length_penalty,
            stop=stop,
            unk=unk,
            max_lines=max_lines,
        )
        check_lines(max_lines, constrained=allowed_words is not None or pattern is not None)
        self.check_lines(max_lines)
        self.check_forward()
        constraint = make_constraint(
            self.tokenizer, self.config, allowed_words=allowed_words, pattern=pattern
        )
        read = self._prompt(prompt, 1)
        if prefix:
            begin = np.array([self.config.prefix_token_id])
            lead = prefix_lead(self.config, self.tokenizer.encode(prefix), begin)
            read = replace(read, lead=np.concatenate((lead, read.lead)))
        return BeamSearch(self.engine, self.tokenizer, read, options, constraint).run()

    def next_words(
        self, text: str = "", k: int = 10, **options: Unpack[NextKeywords]
    ) -> list[tuple[str, float]]:
        """The k likeliest next words and their probabilities, best first.

        A word is a piece of text between white space, of any number of tokens. Its probability is
        P(its tokens | text) · P(a word begins, or the sentence ends | text, its tokens), given that
        the last word of the text is over; at the beginning of a sentence there is no such word. The
        end of the sentence is an outcome too, "</s>", unless `partial` or `allowed` is given. The
        probabilities are the model's own, not renormalised over the words that are wanted.

        The search reads likely words first. It stops when each of k words is likelier than any
        word not yet spelt. A word that several token sequences spell gets the sum of the sequences
        found by then, so probabilities are lower bounds. A missing sequence is less likely than
        the last word of the list, and than a thousandth of it where all words of `allowed` are in
        the list. Sequences that are not UTF-8 are no words.

        The search also stops, and logs a warning, when it has read 4096 partial words (16 * k where
        that is more), as it may in a poor model of characters. The list then holds the words found
        so far, and a likelier word may be missing.

        Args:
            text: the text so far; before words, white space at its end is dropped. Empty: a
                sentence begins.
            k: the number of words, 10,000 at most; the list is shorter where the model has no more.
            options: `unit`, `partial`, `allowed`, `merge`, `unk`: see
                `lmscore.runtime.decoding.units.NextKeywords`.

        Raises:
            InputError: the text is not a string that the model can read.
            OptionError: k or an option has an impossible value.
            TypeError: there is no such option.
            ModelError: the model yields nan or inf.
        """
        (found,) = self.next_words_batch([text], k, **options)
        return found

    def next_words_batch(
        self, texts: Sequence[str], k: int = 10, **options: Unpack[NextKeywords]
    ) -> list[list[tuple[str, float]]]:
        """The next words after each of several texts; options and errors as in `next_words`."""
        from lmscore.runtime.decoding import find_next_words

        given = self._next_options(k, options)
        if isinstance(texts, str):
            raise InputError("expected several texts, got one string; use next_words, or a list")
        texts = list(each_text(texts))
        for number, text in enumerate(texts, 1):
            check_text(text, number)
        return [find_next_words(self.engine, self.tokenizer, text, k, given) for text in texts]

    def next_words_after(
        self,
        log_probs: NDArray[np.float32],
        state: State,
        k: int = 10,
        *,
        begun: bool = True,
        **options: Unpack[NextKeywords],
    ) -> list[list[tuple[str, float]]]:
        """The next words after each of B hypotheses, from what `step` gave.

        Args:
            log_probs: float32 [B, V] (nats) of the next token.
            state: B rows, the state from which they came.
            k: the number of words for each.
            begun: whether the hypotheses hold a word, which is taken to be over.
            options: as in `next_words`.

        Raises:
            InputError: the sizes do not fit each other.
            OptionError, TypeError, ModelError: as in `next_words`.
        """
        from lmscore.runtime.decoding import find_next_after
        from lmscore.runtime.engine import Step

        given = self._next_options(k, options)
        if np.shape(log_probs) != (len(state), self.vocab_size):
            raise InputError(
                f"log_probs are {list(np.shape(log_probs))}, expected [{len(state)}, "
                f"{self.vocab_size}] for the rows of the state"
            )
        steps = (
            Step(np.asarray(log_probs)[row : row + 1], state.select([row]))
            for row in range(len(state))
        )
        return [
            find_next_after(self.engine, self.tokenizer, step, k, given, begun=begun)
            for step in steps
        ]

    def next_unit(self, **options: Unpack[NextKeywords]) -> NextUnit:
        """The unit of the outcomes that `next_words` gives: "word", "character" or "token"."""
        from lmscore.runtime.decoding import unit_of

        return unit_of(self.engine, self.tokenizer, self._next_options(1, options))

    def _next_options(self, k: int, options: NextKeywords) -> NextOptions:
        from lmscore.runtime.decoding import NextKeywords, NextOptions

        self.check_forward()
        most = f"an integer in 1..{_MOST_WORDS}"
        check_argument("k", k, Integral, lambda count: 1 <= count <= _MOST_WORDS, most)
        check_keywords(options, NextKeywords)
        return NextOptions(**options)

    def _prompt(self, text: str, number: int) -> Prompt:
        """The tokens of a prompt; `number` names it in errors."""
        from lmscore.runtime.decoding import Prompt, lines_of

        check_text(text, number)
        return Prompt.after_lines(self.tokenizer, lines_of(text, self.config), self.config, number)

    def _sampler(self, options: SamplingOptions) -> Sampler:
        from lmscore.runtime.decoding import Sampler, make_constraint

        self.check_forward()
        self.check_lines(options.max_lines)
        constraint = make_constraint(
            self.tokenizer,
            self.config,
            allowed_words=options.allowed_words,
            pattern=options.pattern,
        )
        return Sampler(self.engine, self.tokenizer, options, constraint)

    def _words_are_characters(self, segmentation: Segmentation) -> bool:
        if segmentation not in _SEGMENTATIONS:
            known = ", ".join(_SEGMENTATIONS)
            raise OptionError(f"segmentation must be one of {known}, not {segmentation!r}")
        return (self.segmentation if segmentation == "auto" else segmentation) == "characters"

    @staticmethod
    def _oov_cost(given: float | LanguageModel | None) -> OovCost | None:
        """What unknown words cost; raises OptionError for an impossible value."""
        if given is None:
            return None
        if not isinstance(given, LanguageModel):
            check_oov_cost(given)
            return FixedCost(float(given))
        if given.tokenizer.splits_at_spaces:
            raise OptionError(
                f"{given.path}: a model of words does not spell; oov_cost takes one of characters "
                "or subwords"
            )
        return SpellingCost(partial(given.score_batch, context="sentence"))

    @property
    def _joiner(self) -> str:
        """What stands between two parts of a sentence."""
        return "" if self.tokenizer.spaceless else " "

    def _check_direction(self, bos: bool, context: Context | None, prefix: object) -> None:
        if not bos:
            self.check_forward("bos=False")
        if context == "document":
            self.check_forward("context='document'")
        if prefix is not None:
            self.check_forward("a prefix")

    def __repr__(self) -> str:
        return (
            f"LanguageModel({str(self.path)!r}, variant={self.variant!r}, device={self.device!r})"
        )

    def __reduce__(self) -> tuple[Callable[[], LanguageModel], tuple[()]]:
        return self._reload, ()
