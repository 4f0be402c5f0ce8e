"""The routes of the server, as an ASGI application."""

from __future__ import annotations

import asyncio
import base64
import hmac
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lmscore.serve import answers, completions, lists, scores, searches, states, tokens
from lmscore.serve.errors import ApiError, as_api_error, json_response, log_failure
from lmscore.serve.front import front_page
from lmscore.serve.metrics import Metrics
from lmscore.serve.openapi import Endpoint, Operation, openapi_document
from lmscore.serve.prompts import read_apart
from lmscore.serve.requests import (
    Body,
    ChooseRequest,
    CompletionRequest,
    DetokenizeRequest,
    DropRequest,
    NextRequest,
    OpenRequest,
    RescoreRequest,
    ScoreRequest,
    StepRequest,
    TokenizeRequest,
    decode_body,
    read_body,
)
from lmscore.serve.served import Limits, Models, ServedModel

Result = TypeVar("Result")

_OPEN = {"/health"}  # needs no key
_TEXTS = ("prompt", "input", "candidates", "lists")  # the fields that hold texts


class ClientGoneError(Exception):
    """The client closed the connection before it was answered."""


@dataclass(frozen=True)
class Service:
    """Served models, and the answers to requests about them."""

    models: Models
    limits: Limits
    metrics: Metrics

    async def completions(self, request: Request, body: CompletionRequest) -> Response:
        """POST /v1/completions."""
        model = self._model(body.model)
        make = partial(completions.Job.of, model, body, self.limits)
        job = await read_apart(body.prompt, make)
        if body.stream:
            return StreamingResponse(job.events(), media_type="text/event-stream")
        return json_response(await unless_gone(request, job.answer()))

    async def score(self, request: Request, body: ScoreRequest) -> Response:
        """POST /v1/score."""
        model, cost = self._model(body.model), body.oov_cost
        spelt = self.models.find(cost, param="oov_cost").lm if isinstance(cost, str) else cost
        answer = scores.score(model, body, self.limits, oov_cost=spelt)
        return json_response(await unless_gone(request, answer))

    async def next_words(self, request: Request, body: NextRequest) -> Response:
        """POST /v1/next."""
        answer = searches.next_words(self._model(body.model), body, self.limits)
        return json_response(await unless_gone(request, answer))

    async def choose(self, request: Request, body: ChooseRequest) -> Response:
        """POST /v1/choose."""
        answer = searches.choose(self._model(body.model), body, self.limits)
        return json_response(await unless_gone(request, answer))

    async def rescore(self, request: Request, body: RescoreRequest) -> Response:
        """POST /v1/rescore."""
        answer = lists.rescore(self._model(body.model), body, self.limits)
        return json_response(await unless_gone(request, answer))

    async def open_states(self, request: Request, body: OpenRequest) -> Response:
        """POST /v1/states."""
        answer = states.open_states(self._model(body.model), body, self.limits)
        return json_response(await unless_gone(request, answer))

    async def step_states(self, request: Request, body: StepRequest) -> Response:
        """POST /v1/states/step."""
        answer = states.step_states(self._model(body.model), body, self.limits)
        return json_response(await unless_gone(request, answer))

    async def drop_states(self, _: Request, body: DropRequest) -> Response:
        """POST /v1/states/drop."""
        return json_response(states.drop_states(self.models.find(body.model), body))

    async def tokenize(self, _: Request, body: TokenizeRequest) -> Response:
        """POST /tokenize."""
        read = partial(tokens.tokenize, self.models.find(body.model), body, self.limits)
        return json_response(await read_apart(body.prompt, read))

    async def detokenize(self, _: Request, body: DetokenizeRequest) -> Response:
        """POST /detokenize."""
        return json_response(tokens.detokenize(self.models.find(body.model), body))

    async def tokenizer_info(self, request: Request) -> Response:
        """GET /tokenizer_info."""
        model = self.models.find(request.query_params.get("model"))
        return json_response(tokens.tokenizer_info(model))

    async def page(self, _: Request) -> Response:
        """GET /: the page for a browser."""
        return front_page()

    async def list_models(self, _: Request) -> Response:
        """GET /v1/models."""
        return json_response({"object": "list", "data": [one.document() for one in self.models]})

    async def one_model(self, request: Request) -> Response:
        """GET /v1/models/NAME."""
        return json_response(self.models.find(request.path_params["name"]).document())

    async def health(self, _: Request) -> Response:
        """GET /health: the process answers."""
        return json_response({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        """GET /ready: new requests are welcome."""
        for model in self.models:
            model.admit(self.limits)
        return json_response({"status": "ready"})

    async def show_metrics(self, _: Request) -> Response:
        """GET /metrics."""
        for model in self.models:
            self.metrics.waiting.labels(model.name).set(model.batcher.unfinished)
        return self.metrics.response()

    def _model(self, name: str | None) -> ServedModel:
        model = self.models.find(name)
        model.admit(self.limits)
        return model

    async def openapi(self, _: Request) -> Response:
        """GET /openapi.json."""
        return json_response(openapi_document(self.operations()))

    def routes(self) -> list[Route]:
        """All routes."""
        return [
            Route(_matched(one.path), one.endpoint, methods=[one.method])
            for one in self.operations()
        ]

    def operations(self) -> list[Operation]:
        """All routes, with what they read and answer."""
        return [
            self._post(
                "/v1/completions",
                CompletionRequest,
                self.completions,
                answers.CompletionAnswer,
                streams=True,
            ),
            self._post("/v1/score", ScoreRequest, self.score, answers.ScoreAnswer),
            self._post("/v1/next", NextRequest, self.next_words, answers.NextAnswer),
            self._post("/v1/choose", ChooseRequest, self.choose, answers.ChooseAnswer),
            self._post("/v1/rescore", RescoreRequest, self.rescore, answers.RescoreAnswer),
            self._post("/v1/states", OpenRequest, self.open_states, answers.StatesAnswer),
            self._post("/v1/states/step", StepRequest, self.step_states, answers.StatesAnswer),
            self._post("/v1/states/drop", DropRequest, self.drop_states, answers.DropAnswer),
            self._post("/tokenize", TokenizeRequest, self.tokenize, answers.TokenizeAnswer),
            self._post("/detokenize", DetokenizeRequest, self.detokenize, answers.DetokenizeAnswer),
            self._get(
                "/tokenizer_info",
                self.tokenizer_info,
                answers.TokenizerInfo,
                statuses=(401, 404),
                query=("model",),
            ),
            self._get("/v1/models", self.list_models, answers.ModelsAnswer),
            self._get(
                "/v1/models/{name}", self.one_model, answers.ModelAnswer, statuses=(401, 404)
            ),
            self._get("/", self.page, "text/html"),
            self._get("/openapi.json", self.openapi, "application/json"),
            self._get("/health", self.health, answers.StatusAnswer, statuses=(), is_open=True),
            self._get("/ready", self.ready, answers.StatusAnswer, statuses=(401, 429)),
            self._get("/metrics", self.show_metrics, "text/plain"),
        ]

    def _post(
        self,
        path: str,
        kind: type[Body],
        answer: Callable[[Request, Body], Coroutine[Any, Any, Response]],
        answers: type,
        *,
        streams: bool = False,
    ) -> Operation:
        summary, endpoint = _summary(answer), self._reads(kind, answer)
        return Operation("POST", path, endpoint, answers, summary, kind, streams)

    def _get(
        self,
        path: str,
        answer: Endpoint,
        answers: type | str,
        *,
        statuses: Sequence[int] = (401,),
        query: Sequence[str] = (),
        is_open: bool = False,
    ) -> Operation:
        return Operation(
            "GET",
            path,
            answer,
            answers,
            _summary(answer),
            statuses=statuses,
            query=query,
            is_open=is_open,
        )

    def _reads(
        self,
        kind: type[Body],
        answer: Callable[[Request, Body], Coroutine[Any, Any, Response]],
    ) -> Endpoint:
        """An endpoint that reads a body before it answers."""
        fields = kind.__struct_fields__
        param = next((name for name in _TEXTS if name in fields), None)

        async def endpoint(request: Request) -> Response:
            try:
                body = decode_body(await read_body(request, self.limits.body), kind)
                return await answer(request, body)
            except (ClientGoneError, ClientDisconnect):
                return Response(status_code=499)  # nobody sees it but the metrics
            except Exception as error:
                raise as_api_error(error, param, fields) from error

        return endpoint


def _summary(answer: Callable[..., Any]) -> str:
    """The first line of a method's docstring."""
    return (answer.__doc__ or "").partition("\n")[0]


def _matched(path: str) -> str:
    """The path as Starlette has it; names of models may hold slashes."""
    return path.replace("{name}", "{name:path}")


class Guard:
    """What happens to every request: the key is checked, the time taken."""

    def __init__(self, app: ASGIApp, *, api_key: str | None, metrics: Metrics) -> None:
        """Wrap an application."""
        self._app, self._metrics = app, metrics
        self._key = None if api_key is None else api_key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def count(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if self._is_allowed(scope):
                await self._app(scope, receive, count)
            else:
                await _key_is_missing(scope)(scope, receive, count)
        finally:
            endpoint = scope.get("path", "") if scope.get("endpoint") else "other"
            route = "/v1/models" if endpoint.startswith("/v1/models/") else endpoint
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - started)

    def _is_allowed(self, scope: Scope) -> bool:
        if self._key is None or scope["path"] in _OPEN:
            return True
        given = dict(scope["headers"]).get(b"authorization", b"")
        key = _key_of(given)
        return key is not None and hmac.compare_digest(key, self._key)


def _key_of(authorization: bytes) -> bytes | None:
    """The key in a header: a bearer's, or the password that a browser asked its user for."""
    scheme, _, value = authorization.partition(b" ")
    if scheme.lower() == b"bearer":
        return value
    if scheme.lower() == b"basic":
        with suppress(ValueError):
            return base64.b64decode(value, validate=True).partition(b":")[2]
    return None


def _key_is_missing(scope: Scope) -> Response:
    """The answer 401; a browser that opens the page asks its user for the key."""
    error = ApiError(
        401, "the key is missing or wrong: Authorization: Bearer KEY", code="invalid_api_key"
    )
    answer = error.response()
    if scope["path"] == "/":
        answer.headers["WWW-Authenticate"] = 'Basic realm="lmscore: the key as password"'
    return answer


def make_app(models: Models, *, api_key: str | None = None) -> ASGIApp:
    """The application; when it shuts down, the models finish what they have begun.

    Args:
        models: what is served, and within which limits.
        api_key: the key that every request but /health has to bring. Default: none.
    """
    service = Service(models, models.limits, Metrics())

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        models.observe(service.metrics.observe_run)
        yield
        await asyncio.to_thread(models.stop)
        models.observe(None)

    app = Starlette(
        routes=service.routes(),
        lifespan=lifespan,
        exception_handlers={
            ApiError: _on_api_error,
            HTTPException: _on_http_error,
            Exception: _on_error,
        },
    )
    return Guard(app, api_key=api_key, metrics=service.metrics)


async def unless_gone(request: Request, answer: Coroutine[Any, Any, Result]) -> Result:
    """The answer; it is cancelled if the client goes away first.

    Raises:
        ClientGoneError: it did.
    """
    task = cast("asyncio.Task[Any]", asyncio.current_task())
    watcher = asyncio.ensure_future(_cancel_if_gone(request, task))
    try:
        return await answer
    except asyncio.CancelledError:
        if not watcher.done():  # somebody else cancelled it
            raise
        task.uncancel()
        raise ClientGoneError from None
    finally:
        watcher.cancel()


async def _cancel_if_gone(request: Request, task: asyncio.Task[Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    task.cancel()


async def _on_api_error(_: Request, error: Any) -> Response:
    log_failure(error)
    return cast(ApiError, error).response()


async def _on_http_error(request: Request, error: Any) -> Response:
    messages = {
        404: f"there is nothing at {request.url.path}",
        405: f"{request.method} is not for {request.url.path}",
    }
    message = messages.get(error.status_code, str(error.detail))
    answer = ApiError(error.status_code, message).response()
    answer.headers.update(error.headers or {})
    return answer


async def _on_error(_: Request, error: Exception) -> Response:
    return as_api_error(error).response()
