"""The bodies of requests: their fields, types and bounds, and how they are read."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request

from lmscore.names import NextUnit, Segmentation, Split
from lmscore.serve.errors import ApiError

Body = TypeVar("Body", bound=Struct)

_AT = re.compile(r"^(.*?)(?: - at `(.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)

Natural = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Logprobs = Annotated[int, Meta(ge=0, le=20)]


class StreamOptions(Struct, forbid_unknown_fields=True, frozen=True):
    """`stream_options` of a completion."""

    include_usage: bool = False


class CompletionRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of POST /v1/completions."""

    prompt: str | list[str | int | list[int]]
    model: str | None = None
    max_tokens: Natural | None = 16
    echo: bool = False
    logprobs: Logprobs | None = None
    temperature: float | None = 1.0
    top_p: float | None = 1.0
    n: Positive | None = 1
    stop: str | list[str] | None = None
    seed: Natural | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    user: str | None = None
    # not OpenAI's
    max_lines: Positive = 1
    top_k: Positive | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    # OpenAI's, accepted with the value that changes nothing
    best_of: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    suffix: str | None = None


class ScoreRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of POST /v1/score."""

    input: str | list[str]
    model: str | None = None
    prefix: str | list[str] | None = None
    joiner: str | None = None
    per: Literal["text", "token", "word"] = "text"
    bos: bool = True
    eos: bool = True
    context: Literal["sentence", "document"] | None = None
    split: Split = "none"
    language: str = "en"
    segmentation: Segmentation = "auto"
    oov_cost: float | str | None = None  # nats, or the name of a served model
    entropy: bool = False
    rank: bool = False
    alternatives: Logprobs = 0


class NextRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of POST /v1/next."""

    input: str | list[str]
    model: str | None = None
    k: Annotated[int, Meta(ge=1, le=1000)] = 10
    unit: NextUnit = "auto"
    partial: str = ""
    allowed: list[str] | None = None
    merge: bool = False
    unk: bool = False


class ChooseRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of POST /v1/choose."""

    candidates: list[str]
    model: str | None = None
    left: str = ""
    right: str = ""


class RescoreRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of POST /v1/rescore."""

    lists: list[dict[str, Any]]
    model: str | None = None
    feature: str = "lm"
    eos: bool = True
    weights: dict[str, float] | None = None
    word_penalty: float = 0.0
    length_normalization: float = 0.0


class OpenRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of POST /v1/states."""

    prompt: str | list[str | int | list[int]] = ""
    model: str | None = None
    k: Annotated[int, Meta(ge=0, le=1000)] = 20


class StepRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of POST /v1/states/step."""

    states: list[str]
    tokens: list[int]
    model: str | None = None
    targets: list[list[int]] | None = None
    k: Annotated[int, Meta(ge=0, le=1000)] = 20
    drop: bool = False


class DropRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of POST /v1/states/drop."""

    states: list[str]
    model: str | None = None


class TokenizeRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of POST /tokenize."""

    prompt: str
    model: str | None = None
    add_special_tokens: bool = True


class DetokenizeRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """The body of POST /detokenize."""

    tokens: list[int]
    model: str | None = None


async def read_body(request: Request, limit: int) -> bytes:
    """The body of a request.

    Raises:
        ApiError: it has more than `limit` bytes.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def _too_large(limit: int) -> ApiError:
    return ApiError(
        413, f"the body has more than {limit} bytes: send less at once", code="body_too_large"
    )


def decode_body(body: bytes, kind: type[Body]) -> Body:
    """The body as a request of some kind.

    Raises:
        ApiError: it is no JSON or nested too deep, or a field is unknown, missing or of another
            type; names it.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        message, at = _AT.match(str(error)).groups()  # type: ignore[union-attr]
        param = (at or "").removeprefix("$").removeprefix(".") or None
        if found := _UNKNOWN.fullmatch(message):
            known = ", ".join(field.name for field in msgspec.structs.fields(kind))
            name = f"{param}.{found[1]}" if param else found[1]
            listed = "" if param else f"; there are {known}"
            raise ApiError(400, f"unknown field {name!r}{listed}", param=name) from None
        if found := _MISSING.fullmatch(message):
            raise ApiError(400, f"the field {found[1]!r} is missing", param=found[1]) from None
        where = f"{param}: " if param else ""
        raise ApiError(400, f"{where}{message.replace('`', '')}", param=param) from None
    except RecursionError:
        raise ApiError(400, "the body is nested too deep") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(400, f"the body is no JSON: {error}") from None


def refuse_unsupported(body: CompletionRequest) -> None:
    """Raise ApiError for a field of OpenAI's that has no counterpart here, unless it is neutral."""
    neutral: dict[str, tuple[Any, ...]] = {
        "best_of": (None, body.n or 1),
        "frequency_penalty": (None, 0),
        "presence_penalty": (None, 0),
        "logit_bias": (None, {}),
        "suffix": (None, ""),
    }
    for name, values in neutral.items():
        if getattr(body, name) not in values:
            raise ApiError(
                400, f"{name} is not supported: leave it out", param=name, code="unsupported"
            )
