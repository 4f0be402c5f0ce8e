"""A real browser: Chromium without a window, driven by playwright."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

# Of the size of a telephone, for layouts that have to fit.
PHONE = {"width": 360, "height": 740}


def find_chromium() -> str:
    """The program; the test is skipped where there is none."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None:
        pytest.skip("there is no chromium (on Debian: apt-get install chromium)")
    return found


@contextmanager
def open_browser() -> Iterator[Any]:
    """A browser; close it before other tests run an event loop in this thread."""
    sync_api = pytest.importorskip("playwright.sync_api")
    program = find_chromium()
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@contextmanager
def open_page(browser: Any, **options: Any) -> Iterator[Any]:
    """A page; at its end, the test fails for errors in the console and for requests elsewhere."""
    context = browser.new_context(**options)
    page = context.new_page()
    page.set_default_timeout(10_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None,
    )
    yield page
    context.close()
    assert complaints == []


def wait_until(page: Any, true: Callable[[], object], what: str = "") -> None:
    """Wait until something is true; a page's policy forbids `page.wait_for_function`."""
    for _ in range(200):
        if true():
            return
        page.wait_for_timeout(25)
    pytest.fail(what or "the page did not get there")


def fits(page: Any) -> bool:
    """Whether nothing of a page lies beside the window."""
    found: bool = page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    return found
