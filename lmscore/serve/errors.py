"""Errors of requests, as OpenAI's objects with our messages."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

import msgspec
from starlette.responses import Response

from lmscore.errors import InputError, LmscoreError, OptionError
from lmscore.serve.batching import ItemError

_TYPES = {
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "service_unavailable_error",
}


_log = logging.getLogger("lmscore")


class ApiError(Exception):
    """A request that gets an error as its answer."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        """`param` is the field at fault, `retry_after` seconds."""
        super().__init__(message)
        self.status = status
        self.param, self.code, self.retry_after = param, code, retry_after

    def document(self) -> dict[str, Any]:
        """The body of the answer."""
        default = "server_error" if self.status >= 500 else "invalid_request_error"
        return {
            "error": {
                "message": str(self),
                "type": _TYPES.get(self.status, default),
                "param": self.param,
                "code": self.code,
            }
        }

    def response(self) -> Response:
        """The whole answer."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return json_response(self.document(), self.status, headers)


def json_response(
    document: Any, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """A response with a body of JSON."""
    return Response(msgspec.json.encode(document), status, headers, "application/json")


def log_failure(error: ApiError) -> None:
    """Log what a client is told to be in the log, with what caused it."""
    if error.status >= 500:
        _log.error("a request failed", exc_info=error.__cause__ or error)


def as_api_error(
    error: Exception, param: str | None = None, fields: Collection[str] = ()
) -> ApiError:
    """What a client is told of an error.

    `param` is the list that items come from; `fields` are the names in the body of the request, of
    which a message may begin with one.
    """
    if isinstance(error, ItemError):
        if not isinstance(error.reason, InputError):
            return as_api_error(error.reason, fields=fields)
        place = None if param is None else f"{param}[{error.number}]"
        return ApiError(400, str(error.reason).removeprefix("text 1: "), param=place)
    if isinstance(error, ApiError):
        return error
    if isinstance(error, InputError):
        return ApiError(400, str(error), param=param)
    if isinstance(error, OptionError):
        name = str(error).partition(" ")[0]
        return ApiError(400, str(error), param=name if name in fields else None)
    known = isinstance(error, LmscoreError)
    return ApiError(500, str(error) if known else "internal error; the server's log has details")
