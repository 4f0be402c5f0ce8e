"""Words on a page, and the levels that Python and JavaScript share."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lmscore.pages import LEVELS, WORDS_SCRIPT, Word, WordTexts, level, markup
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.scoring import shown_words


def test_levels() -> None:
    assert [level(bits) for bits in (0, 1, 1.01, 3, 5, 8, 11, 15, 15.1, 1000)] == [
        *(0, 0, 1, 1, 2, 3, 4, 5, 6, 6)
    ]
    found = re.search(r"const BITS = (\[.*?\]);", Path(WORDS_SCRIPT).read_text(encoding="utf-8"))
    assert found is not None
    assert json.loads(found[1]) == list(LEVELS)


def test_a_text_and_what_is_known_of_its_words() -> None:
    texts = WordTexts()
    likely = [("the", 0.25), ("a<b", 0.0625)]
    texts.add(
        [
            Word("x<y", 2.04, rank=3, entropy=1.26, alternatives=likely),
            Word("z", 20.0, is_oov=True, joined=True),
            Word("", 0.5),
        ],
        label="1 & 2",
    )
    page = markup(texts.elements())
    assert "<p><small>1 &amp; 2</small> " in page
    assert '<i class="l1">x&lt;y</i><i class="l6 u">z</i> <i class="l0 end">⏎</i>' in page
    assert "a&lt;b" in page
    assert '"words":[[20,3,13,0,250,1,62],[200],[5]]' in page


@pytest.mark.parametrize("words", [True, False])
def test_words_of_a_score(bpe_lm: LanguageModel, words: bool) -> None:
    text = "so long, and thanks"
    (measured,) = bpe_lm.measure_stream([text], alternatives=2, words=words)
    score = measured.score
    found = shown_words(score, measured)
    assert sum(word.bits for word in found) == pytest.approx(score.surprisal, rel=1e-5)
    shown = "".join(" " * (not word.joined) + word.text for word in found)
    assert shown.replace("␣", "").split() == text.split()
    assert found[-1].text == ""
    assert found[0].rank == measured.tokens[0].rank
    assert len(found[0].alternatives) == 2


def test_a_score_in_a_notebook(lm: LanguageModel) -> None:
    score = lm.score("the <script>alert(1)</script> cat", words=True)
    shown = score._repr_html_()  # what a notebook calls
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert f"{score.surprisal:.1f} bits" in shown
    assert shown.count("<span") == len(score.words)
    assert (
        lm.score("the cat", tokens=False)
        ._repr_html_()
        .startswith('<div style="line-height:2">the cat</div>')
    )
