"""Words alone and after others have the tokens that whole texts have."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import InputError
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.lattices.search_options import as_it_is
from lmscore.runtime.rescoring.lattices.spelling import Spelling, spell
from tests.models import WORDS, make_model


@pytest.fixture(scope="module")
def char_lm(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    path = tmp_path_factory.mktemp("char") / "model"
    return load(make_model(path, tokenizer="char", variants=["fp32"]).path)


def check(lm: LanguageModel, words: list[str]) -> None:
    spelling = spell(lm.tokenizer, words, as_it_is, eos=1)
    tokens = [spelling[words[0]].first, *(spelling[word].later for word in words[1:])]
    whole = lm.tokenizer.encode(" ".join(words))
    assert [token for word in tokens for token in word] == whole.tolist()


@given(st.lists(st.sampled_from([*WORDS, "don't", "zebra", "e.", "x2", "-"]), min_size=1))
def test_words_make_texts(lm: LanguageModel, bpe_lm: LanguageModel, words: list[str]) -> None:
    check(lm, words)
    check(bpe_lm, words)


def test_characters_make_texts(char_lm: LanguageModel) -> None:
    check(char_lm, ["the", "cat", "sat"])


def test_what_is_not_read(lm: LanguageModel) -> None:
    spelling = spell(lm.tokenizer, ["the", "um", "</s>"], {"the": "a", "um": ""}.__getitem__, eos=1)
    (a,) = lm.tokenizer.encode("a").tolist()
    nothing = Spelling((), ())
    assert spelling == {
        "the": Spelling((a,), (a,)),
        "um": nothing,
        "": nothing,
        "</s>": Spelling((1,), (1,)),
    }


def test_a_word_that_has_no_ids(lm: LanguageModel, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^word 1: lone surrogate at character 1"):
        spell(lm.tokenizer, ["\ud800"], as_it_is, eos=1)
