"""GET /: a page in a browser, put together from the files in `page/`."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import HTMLResponse, Response

from lmscore.pages import WORDS_SCRIPT, frame, part

_FILES = Path(__file__).parent / "page"


def front_page() -> Response:
    """The page; it asks the server that it comes from, and nobody else."""
    scripts = [part(WORDS_SCRIPT), part(_FILES / "page.js")]
    styles = [part(_FILES / "page.css")]
    page = frame(
        "lmscore", part(_FILES / "page.html"), scripts=scripts, styles=styles, asks_server=True
    )
    return HTMLResponse(
        page,
        headers={
            "Cache-Control": "no-cache",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        },
    )
