"""The server in this process, asked through Starlette's client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from lmscore.runtime.model import LanguageModel
from lmscore.serve import Limits, Models, make_app

# Small, so that tests reach them.
LIMITS = Limits(body=20_000, tokens=500, new_tokens=40, samples=8, waiting=64)


class Client:
    """A client that expects an answer of some status."""

    def __init__(self, client: TestClient) -> None:
        self.http = client

    def get(self, path: str, status: int = 200) -> Any:
        return self._read(self.http.get(path), status)

    def post(self, path: str, status: int = 200, **body: Any) -> Any:
        return self._read(self.http.post(path, json=body), status)

    def events(self, path: str, **body: Any) -> list[Any]:
        """The documents of a stream, without the mark of its end."""
        answer = self.http.post(path, json={**body, "stream": True})
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        *events, end = answer.text.removesuffix("\n\n").split("\n\n")
        assert end == "data: [DONE]"
        return [json.loads(event.removeprefix("data: ")) for event in events]

    @staticmethod
    def _read(answer: Any, status: int) -> Any:
        assert answer.status_code == status, answer.text
        return answer.json()


def client_of(
    *models: tuple[str, LanguageModel], limits: Limits = LIMITS, api_key: str | None = None
) -> Iterator[Client]:
    with TestClient(make_app(Models(dict(models), limits=limits), api_key=api_key)) as http:
        yield Client(http)


@pytest.fixture(scope="module")
def client(lm_int8: LanguageModel) -> Iterator[Client]:
    """The word model in int8, whose results are the same to the bit in every batch."""
    yield from client_of(("toy", lm_int8))


@pytest.fixture(scope="module")
def bpe_client(bpe_lm: LanguageModel) -> Iterator[Client]:
    yield from client_of(("bytes", bpe_lm))
