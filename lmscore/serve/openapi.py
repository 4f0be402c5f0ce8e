"""The OpenAPI document, made from the types of requests and answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lmscore.serve.answers import ErrorAnswer

Endpoint = Callable[[Request], Awaitable[Response]]

_REFERENCE = "#/components/schemas/{name}"
_MEANINGS = {
    400: "no JSON, an unknown field, or a value that is not possible",
    401: "the key is missing or wrong",
    404: "no such model, or no such state",
    413: "the body is too large",
    422: "more of something than one request may ask for",
    429: "too many requests are waiting, or too many states are kept",
    500: "the model fails",
}
_OF_BODIES = (400, 401, 404, 413, 422, 429, 500)


@dataclass(frozen=True)
class Operation:
    """A route, with the types of what it reads and of what it answers."""

    method: str
    path: str
    endpoint: Endpoint
    answer: type | str  # of JSON; or the media type of another kind of answer
    summary: str
    body: type | None = None
    streams: bool = False  # whether it may answer with server-sent events
    statuses: Sequence[int] = (401,)  # that are no success, where it reads no body
    query: Sequence[str] = ()  # names of optional texts
    is_open: bool = False  # whether it needs no key

    def described(self, schemas: dict[type, Any]) -> dict[str, Any]:
        """The object of the operation; raises nothing."""
        success: dict[str, Any] = {}
        if isinstance(self.answer, str):
            kind = "object" if self.answer.endswith("json") else "string"
            success[self.answer] = {"schema": {"type": kind}}
        else:
            success["application/json"] = {"schema": schemas[self.answer]}
        if self.streams:
            success["text/event-stream"] = {"schema": {"type": "string"}}
        failures = self.statuses if self.body is None else _OF_BODIES
        error = {"application/json": {"schema": schemas[ErrorAnswer]}}
        responses: dict[str, Any] = {"200": {"description": "success", "content": success}}
        for status in failures:
            responses[str(status)] = {"description": _MEANINGS[status], "content": error}
        found: dict[str, Any] = {
            "summary": self.summary,
            "operationId": self.path.strip("/").replace("/", "_").replace("{name}", "name")
            or "page",
            "responses": responses,
        }
        if parameters := list(self._parameters()):
            found["parameters"] = parameters
        if self.body is not None:
            content = {"application/json": {"schema": schemas[self.body]}}
            found["requestBody"] = {"required": True, "content": content}
        if self.is_open:
            found["security"] = []
        return found

    def _parameters(self) -> Sequence[dict[str, Any]]:
        text = {"type": "string"}
        in_path = [{"name": "name", "in": "path", "required": True, "schema": text}]
        in_query = [{"name": name, "in": "query", "schema": text} for name in self.query]
        return [*(in_path if "{name}" in self.path else []), *in_query]


def openapi_document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The document of a server's routes."""
    types: list[type] = [ErrorAnswer]
    for operation in operations:
        types += [one for one in (operation.body, operation.answer) if isinstance(one, type)]
    types = list(dict.fromkeys(types))
    found, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    schemas = dict(zip(types, found, strict=True))
    paths: dict[str, Any] = {}
    for operation in operations:
        described = operation.described(schemas)
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "lmscore serve", "version": version("lmscore")},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
        "security": [{}, {"bearer": []}, {"basic": []}],  # {}: without --api-key
    }
