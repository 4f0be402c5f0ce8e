"""The frame of a page: style, scripts, and a policy that lets a browser load nothing else."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from lmscore.pages.elements import markup

_HERE = Path(__file__).parent


def part(path: Path) -> str:
    """A file that pages are put together from."""
    return path.read_text(encoding="utf-8")


WORDS_SCRIPT = _HERE / "words.js"
"""Defines `attachWords`, with which words tell more about themselves."""

REPORT_SCRIPT = _HERE / "report.js"
"""Uses it for the words of a report."""


def frame(
    title: str,
    body: str,
    *,
    scripts: Sequence[str] = (),
    styles: Sequence[str] = (),
    asks_server: bool = False,
) -> str:
    """A whole page.

    The browser is told to run and to load nothing but what is given here.

    Args:
        title: text.
        body: markup, in which every text is escaped.
        scripts: JavaScript that runs at the end of the page, as one.
        styles: CSS beside that of all pages.
        asks_server: whether it may ask the server that it comes from.
    """
    style, script = "\n".join([part(_HERE / "style.css"), *styles]), "\n".join(scripts)
    policy = [
        "default-src 'none'",
        f"style-src {_hash(style)}",
        f"script-src {_hash(script)}",
        "img-src data:",
        "connect-src 'self'" if asks_server else "connect-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{"; ".join(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{html.escape(title)}</title>
<style>{style}</style>
</head>
<body>
{body}
<script>{script}</script>
</body>
</html>
"""


def report_page(title: str, body: Iterable[Element], *, words: bool = False) -> str:
    """The page of a report; `words`: it has the elements of `WordTexts`."""
    scripts = [part(WORDS_SCRIPT), part(REPORT_SCRIPT)] if words else []
    return frame(title, markup(body), scripts=scripts)


def _hash(source: str) -> str:
    """How a policy names an inline script or style."""
    digest = hashlib.sha256(source.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
