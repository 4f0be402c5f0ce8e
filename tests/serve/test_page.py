"""GET / in a browser: words with their surprisal, alternatives, two texts."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from lmscore.runtime.model import LanguageModel
from tests.browsing import PHONE, fits, open_page, wait_until

uvicorn = pytest.importorskip("uvicorn")

from lmscore.serve import Models, make_app, open_socket  # noqa: E402

HOSTILE = "<script>alert(1)</script>"


def started(lm: LanguageModel, api_key: str | None = None) -> Iterator[str]:
    """The URL of a server in a thread."""
    app = make_app(Models({HOSTILE: lm, "other": lm}), api_key=api_key)
    config = uvicorn.Config(app, log_level="warning", lifespan="on")
    server = uvicorn.Server(config)
    with open_socket("127.0.0.1", 0) as bound:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        yield "http://{}:{}/".format(*bound.getsockname())
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def url(lm_int8: LanguageModel) -> Iterator[str]:
    yield from started(lm_int8)


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    with open_page(browser) as page:
        page.goto(url)
        page.wait_for_selector("i.end")
        yield page


def write(page: Any, text: str, number: int = 1) -> None:
    """Put a text in, and wait for its words."""
    page.fill(f"#text-Text{number}", text)
    words = len(text.split()) + max(1, len([line for line in text.split("\n") if line.strip()]))
    found = page.locator(f".side >> nth={number - 1}").locator("i")
    wait_until(page, lambda: found.count() == words)


def test_words_have_their_surprisal(page: Any, lm_int8: LanguageModel) -> None:
    text = "the cat sat\n\non the moon"
    write(page, text)
    page.check("#numbers")
    shown = [float(n) for n in page.eval_on_selector_all("i", "all => all.map(i => i.dataset.n)")]
    lines = [lm_int8.score(line, words=True) for line in text.split("\n") if line]
    expected = [word.surprisal for line in lines for word in line.words]
    assert shown == pytest.approx(expected, abs=0.051)
    bits = sum(expected)
    assert page.inner_text(".total").startswith(f"{bits:.1f} bits in 6 words")
    page.select_option("#by", "rank")
    ranks = page.eval_on_selector_all("i", "all => all.map(i => i.dataset.n)")
    measured = [word for line in text.split("\n") if line for word in lm_int8.measure(line).words]
    assert ranks == [str(word.onset_rank) for word in measured]


def test_words_tell_more_to_pointer_and_keyboard(page: Any, lm_int8: LanguageModel) -> None:
    write(page, "the cat sat")
    page.hover("i >> nth=1")
    page.wait_for_selector(".panel strong:text-is('cat')")
    said = page.inner_text(".panel dl")
    (_, cat, *_) = lm_int8.measure("the cat sat").words
    assert f"{cat.onset_entropy / math.log(2):.2f} bits expected here" in said
    assert f"Rank of its first token\n{cat.onset_rank}" in said.replace("\n\n", "\n")
    page.focus("i >> nth=1")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".panel strong:text-is('sat')")
    page.keyboard.press("Home")
    page.wait_for_selector(".panel strong:text-is('the')")
    label = page.get_attribute("i[tabindex='0']", "aria-label")
    assert re.fullmatch(r"the: \d+\.\d bits", label)


def test_alternatives_are_taken_over(page: Any, lm_int8: LanguageModel) -> None:
    write(page, "the cat sat")
    page.hover("i >> nth=1")
    page.wait_for_selector(".heading:text-is('Likeliest here')")
    ((word, _), *_) = [found for found in lm_int8.next_words("the", 8) if found[0] != "</s>"]
    page.click(f".list button:has(span:text-is('{word}'))")
    assert page.input_value("#text-Text1") == f"the {word} sat"
    # And the text goes on from its end, by the keyboard alone.
    page.wait_for_selector(".heading:text-is('Go on with')")
    page.focus(".list button:enabled >> nth=0")
    for _ in range(2):
        page.keyboard.press("Enter")
        wait_until(page, lambda: page.locator(".list button:focus").count() == 1)
    text = f"the {word} sat"
    assert page.input_value("#text-Text1").startswith(text)
    assert len(page.input_value("#text-Text1")) > len(text)


def test_two_texts_are_compared(page: Any, lm_int8: LanguageModel) -> None:
    write(page, "the cat sat")
    page.click("#compare")
    write(page, "sat cat the", 2)
    page.wait_for_selector("#compared table")
    gap = lm_int8.score("the cat sat").surprisal - lm_int8.score("sat cat the").surprisal
    better = 2 if gap > 0 else 1
    expected = f"Text {better} is more probable, by {abs(gap):.1f} bits"
    wait_until(page, lambda: page.inner_text("#compared p").startswith(expected))
    page.click("#compare")
    assert page.locator(".side").count() == 1


def test_hostile_texts_stay_texts(page: Any) -> None:
    assert page.eval_on_selector_all("#model option", "all => all.map(o => o.textContent)") == [
        HOSTILE,
        "other",
    ]
    write(page, f"the {HOSTILE} cat")
    assert HOSTILE in page.inner_text(".words")
    assert page.locator("#texts script").count() == 0
    policy = page.get_attribute("meta[http-equiv]", "content")
    assert policy.startswith("default-src 'none'")


def test_what_goes_wrong_is_said(page: Any, url: str) -> None:
    message = "come again later"
    body = f'{{"error": {{"message": "{message}"}}}}'
    page.route(f"{url}v1/score", lambda route: route.fulfill(status=200, body="no JSON"))
    page.fill("#text-Text1", "the")
    page.wait_for_selector(".problem:not(:empty)")
    page.unroute(f"{url}v1/score")
    page.route(f"{url}v1/next", lambda route: route.fulfill(status=200, body=body))
    write(page, "the cat")
    assert page.inner_text(".problem") == ""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_telephone(browser: Any, url: str, scheme: str) -> None:
    with open_page(browser, viewport=PHONE, color_scheme=scheme) as page:
        page.goto(url)
        page.wait_for_selector("i.end")
        page.click("#compare")
        write(page, "the cat sat " * 20 + "x" * 200, 2)
        page.check("#numbers")
        assert fits(page)
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 24, 28)"}[scheme]


def test_a_browser_asks_for_the_key(browser: Any, lm_int8: LanguageModel) -> None:
    for url in started(lm_int8, api_key="secret"):
        with open_page(browser, http_credentials={"username": "", "password": "secret"}) as page:
            page.goto(url)
            page.wait_for_selector("i.end")
