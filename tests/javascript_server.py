"""The JavaScript example behind a port of this machine, with a model in model/."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "examples" / "javascript"


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *given: object, model: Path) -> None:
        self._model = model
        super().__init__(*given, directory=str(EXAMPLE))  # type: ignore[arg-type]

    def translate_path(self, path: str) -> str:
        """Where the file of a request lies."""
        plain = path.partition("?")[0]
        if plain == "/favicon.ico":  # browsers ask for one
            return str(EXAMPLE / "README.md")
        if plain.startswith("/model/"):
            return str(self._model / Path(plain).name)
        return super().translate_path(path)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(model: Path) -> Iterator[str]:
    """The URL of the page."""
    handler = partial(_Handler, model=model)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()
