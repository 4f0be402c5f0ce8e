"""The bodies of answers, as the OpenAPI document describes them; log-probabilities are in nats."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

Alternative = tuple[str, float]


class _Answer(Struct, forbid_unknown_fields=True, frozen=True):
    """An object with these fields and no others."""


class Usage(_Answer, frozen=True):
    """Tokens of a request."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Logprobs(_Answer, frozen=True):
    """The tokens of a choice; the first one of a prompt has no probability."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class CompletionChoice(_Answer, frozen=True):
    """A completion."""

    text: str
    index: int
    logprobs: Logprobs | None
    finish_reason: Literal["stop", "length"] | None


class CompletionAnswer(_Answer, frozen=True):
    """The answer of /v1/completions."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage


class ScoredToken(_Answer, frozen=True):
    """A token of a scored text, with offsets in characters."""

    text: str
    start: int
    end: int
    log_prob: float
    is_oov: bool
    entropy: float | UnsetType | None = UNSET
    rank: int | UnsetType | None = UNSET
    alternatives: list[Alternative] | UnsetType | None = UNSET


class ScoredWord(_Answer, frozen=True):
    """A word of a scored text; the measures are those of its first token."""

    text: str
    start: int
    end: int
    log_prob: float
    is_oov: bool
    onset_entropy: float | UnsetType | None = UNSET
    onset_rank: int | UnsetType | None = UNSET
    onset_alternatives: list[Alternative] | UnsetType | None = UNSET


class ScoredText(_Answer, frozen=True):
    """A scored text."""

    index: int
    text: str
    log_prob: float
    num_tokens: int
    num_words: int
    num_oov: int
    perplexity_per_token: float | None
    perplexity_per_word: float | None
    tokens: list[ScoredToken] | UnsetType = UNSET
    words: list[ScoredWord] | UnsetType = UNSET


class ScoreAnswer(_Answer, frozen=True):
    """The answer of /v1/score."""

    object: Literal["list"]
    model: str
    data: list[ScoredText]
    usage: Usage


class NextWord(_Answer, frozen=True):
    """A word, or another outcome, that may come next."""

    word: str
    probability: float


class NextOfText(_Answer, frozen=True):
    """What may come after a text."""

    index: int
    text: str
    unit: Literal["word", "character", "token"]
    words: list[NextWord]


class NextAnswer(_Answer, frozen=True):
    """The answer of /v1/next."""

    object: Literal["list"]
    model: str
    data: list[NextOfText]


class ChosenCandidate(_Answer, frozen=True):
    """A candidate; its probability is the one among the candidates."""

    index: int
    text: str
    log_prob: float
    probability: float


class ChooseAnswer(_Answer, frozen=True):
    """The answer of /v1/choose, best first."""

    object: Literal["list"]
    model: str
    data: list[ChosenCandidate]


class RescoreAnswer(_Answer, frozen=True):
    """The answer of /v1/rescore: the lists with everything that was in them."""

    object: Literal["list"]
    model: str
    data: list[dict[str, Any]]


class TopToken(_Answer, frozen=True):
    """A likely next token."""

    token: int
    log_prob: float


class SteppedState(_Answer, frozen=True):
    """A state after a step."""

    index: int
    state: str
    top: list[TopToken]
    targets: list[float]


class StatesAnswer(_Answer, frozen=True):
    """The answer of /v1/states and /v1/states/step."""

    object: Literal["list"]
    model: str
    data: list[SteppedState]


class DropAnswer(_Answer, frozen=True):
    """The answer of /v1/states/drop."""

    dropped: int


class TokenizeAnswer(_Answer, frozen=True):
    """The answer of /tokenize."""

    tokens: list[int]
    count: int


class DetokenizeAnswer(_Answer, frozen=True):
    """The answer of /detokenize."""

    prompt: str


class TokenizerInfo(_Answer, frozen=True):
    """The answer of /tokenizer_info; a model without an unknown word has no `unk_token`."""

    bos_token: str
    eos_token: str
    bos_token_id: int
    eos_token_id: int
    pad_token: None
    chat_template: None
    vocab_size: int
    tokenizer: str
    unk_token: str | UnsetType = UNSET
    unk_token_id: int | UnsetType = UNSET


class ModelAnswer(_Answer, frozen=True):
    """A served model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    variant: str
    device: str
    vocab_size: int
    context: str
    direction: str


class ModelsAnswer(_Answer, frozen=True):
    """The answer of /v1/models."""

    object: Literal["list"]
    data: list[ModelAnswer]


class StatusAnswer(_Answer, frozen=True):
    """The answer of /health and /ready."""

    status: Literal["ok", "ready"]


class ErrorObject(_Answer, frozen=True):
    """What is wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(_Answer, frozen=True):
    """The body of every answer whose status is 400 or more."""

    error: ErrorObject
