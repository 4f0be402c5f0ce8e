"""Looked-up words have the ids that they have in the whole text."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers

from lmscore.errors import InputError
from lmscore.runtime.text import tokenizer as tokenizer_module
from lmscore.runtime.text import word_ids
from lmscore.runtime.text.id_rows import IdRows
from lmscore.runtime.text.tokenizer import TextTokenizer
from lmscore.runtime.text.word_ends import WordEnds, find_word_ends
from lmscore.runtime.text.word_ids import WordIds
from lmscore.train.normalization import make_normalizer
from tests.runtime.text.test_cuts import (
    MADE,
    STEPS,
    TEXTS,
    WHITESPACE,
    llama,
    made,
    replaced,
    trained,
)
from tests.runtime.text.test_tokenizer import WORDS, config_of, word_tokenizer, wrap

# `detokenize` looks at both sides of a space, and an added token takes those behind it.
APART = sorted(set(MADE) - {"every step", "llama with end"})
LETTERS = WordEnds(None)

_known: dict[str, tuple[Callable[[Sequence[str]], list[list[int]]], WordIds]] = {}


@pytest.fixture(autouse=True)
def few_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_ids, "_FEWEST_WORDS", 1)
    monkeypatch.setattr(tokenizer_module, "_MUCH", 0)


def ids_of(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    return [each.ids for each in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


def known(name: str) -> tuple[Callable[[Sequence[str]], list[list[int]]], WordIds]:
    """What a tokenizer does with whole texts, and its words, which the tests of it share."""
    if name not in _known:
        tokenizer, cuts = made(name)
        ends = find_word_ends(tokenizer)
        assert ends is not None

        def rows(texts: Sequence[str]) -> IdRows:
            return IdRows.of([np.array(ids, np.int64) for ids in ids_of(tokenizer, texts)])

        words = WordIds(rows, ends, drops_space=cuts.drops_space)
        _known[name] = (lambda texts: ids_of(tokenizer, texts)), words
    return _known[name]


def as_lists(rows: IdRows | None) -> list[list[int]]:
    assert rows is not None
    return [row.tolist() for row in rows.split()]


ENDS = (
    "the cat, (mat) 3 1,000 \u201cfish\u201d don't \u2014 ... it's! 's x\u0301 \u6f22 \U0001f600 "
    "a\ta e\xa0 \xb4 \xbd"
).split(" ")
PUNCTUATED = st.lists(st.sampled_from(ENDS), max_size=8).map(" ".join)


@pytest.mark.parametrize("name", APART)
@settings(max_examples=60)
@given(texts=st.lists(TEXTS | PUNCTUATED, min_size=1, max_size=4))
@example(texts=["the cat , the 1 cat", "the", "the cat"])
@example(texts=["", " the", "the ", "the  cat", "the\ncat the", "\u2581 the\u2581 cat"])
def test_looked_up_words_have_the_ids_of_the_whole(name: str, texts: list[str]) -> None:
    whole, words = known(name)
    # Twice the same: no more than half of the words are new.
    rows = words.rows([*texts, *texts])
    if "\0" in "".join(texts):
        assert rows is None
    else:
        assert as_lists(rows) == whole([*texts, *texts])


def counting(calls: list[str], length: int = 1) -> Callable[[Sequence[str]], IdRows]:
    """Notes the texts that it is given, each of one token, which is its number."""

    def rows(texts: Sequence[str]) -> IdRows:
        first = len(calls)
        calls.extend(texts)
        ids = np.arange(first, len(calls)).repeat(length)
        return IdRows(ids, np.full(len(texts), length))

    return rows


def test_a_word_is_tokenized_once() -> None:
    calls: list[str] = []
    words = WordIds(counting(calls), LETTERS, drops_space=False)
    assert as_lists(words.rows(["a b a b", "a b"])) == [[0, 1, 2, 1], [0, 1]]
    assert calls == ["a", " b", " a"]
    assert as_lists(words.rows(["a a c a", "c b"])) == [[0, 2, 3, 2], [4, 1]]
    assert calls == ["a", " b", " a", " c", "c"]


def test_the_space_may_belong_to_no_word() -> None:
    calls: list[str] = []
    words = WordIds(counting(calls), LETTERS, drops_space=True)
    words.rows(["a b a b", "a b"])
    assert calls == ["a", "b", "a"]


@pytest.mark.parametrize("word", ["\u0301", "x\u0301", "", "\x01", "\n", "z" * 65])
def test_a_text_with_another_word_is_read_whole(word: str) -> None:
    calls: list[str] = []
    words = WordIds(counting(calls, 2), LETTERS, drops_space=False)
    odd = f"a {word} b"
    assert as_lists(words.rows(["a b a b", odd, "a b a b"]))[1] == [3, 3]
    assert calls == ["a", " b", " a", odd]
    assert len(as_lists(words.rows([odd, "a b a b"]))) == 2
    assert calls[-1] == odd


def test_new_words_are_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    words = WordIds(counting(calls), LETTERS, drops_space=False)
    assert words.rows(["a b c d"]) is None
    assert words.rows(["a a\0"]) is None
    monkeypatch.setattr(word_ids, "_FEWEST_WORDS", 5)
    assert words.rows(["a a a a"]) is None
    assert not calls


def test_the_words_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_ids, "_MOST_WORDS", 2)
    calls: list[str] = []
    words = WordIds(counting(calls), LETTERS, drops_space=False)
    for text in ("a b c", "d e f", "g h i", "a b c"):
        words.rows([text] * 3)
    assert calls == ["a", " b", " c", "d", " e", " f", "g", " h", " i", "a", " b", " c"]


def test_words_that_occur_again_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_ids, "_MOST_WORDS", 2)
    calls: list[str] = []
    words = WordIds(counting(calls), LETTERS, drops_space=False)
    for other in ("c", "d", "e"):
        rows = as_lists(words.rows([f"a b {other} b"] * 3))
        assert rows == [[0, 1, len(calls) - 1, 1]] * 3
    assert calls == ["a", " b", " c", " d", " e"]


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1).map(" ".join), min_size=1))
def test_generations_of_words_change_no_ids(texts: list[str]) -> None:
    tokenizer, _ = made("bundled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(word_ids, "_MOST_WORDS", 3)
        shared = TextTokenizer(tokenizer, config_of(tokenizer, unk=None), source="here")
        for text in texts:
            assert as_lists(shared.encode_rows([text] * 3)) == ids_of(tokenizer, [text] * 3)


def test_words_that_cannot_be_tokenized_are_forgotten() -> None:
    tokenizer = wrap(word_tokenizer(["<s>", "</s>", "the", "cat"], unk=None), unk=None)
    for _ in range(2):
        with pytest.raises(InputError, match="line 8: cannot be tokenized"):
            tokenizer.encode_rows(["the cat the cat the cat", "the dog"], first=7, name="line")
    assert tokenizer.encode("the cat cat cat").tolist() == [2, 3, 3, 3]


def test_typed_control_tokens_stay_text() -> None:
    tokenizer = wrap(word_tokenizer())
    texts = ["the <s> cat </s>"] * 3
    assert [row.tolist() for row in tokenizer.encode_batch(texts)] == [[3, 0, 4, 0]] * 3
    assert WORDS[0] == "<unk>"


def test_threads_share_the_words() -> None:
    tokenizer, _ = made("bundled")
    shared = TextTokenizer(tokenizer, config_of(tokenizer, unk=None), source="here")
    texts = [f"the cat {n % 50} sat on {n % 7} mats, and {n % 11} more" for n in range(600)]
    expected = ids_of(tokenizer, texts)
    found: list[bool] = []

    def work(start: int) -> None:
        for first in range(start, 600, 60):
            rows = shared.encode_rows(texts[first : first + 100])
            found.append(as_lists(rows) == expected[first : first + 100])

    threads = [threading.Thread(target=work, args=(start,)) for start in (0, 20, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 30


def normalised(*steps: Any) -> Callable[[], Tokenizer]:
    return lambda: trained(
        "word", normalizer=normalizers.Sequence(list(steps)), pre_tokenizer=WHITESPACE
    )


@pytest.mark.parametrize(
    "make",
    [
        normalised(make_normalizer("detokenize")),
        normalised(replaced("--", " - ")),
        normalised(replaced("--", "")),
    ],
)
def test_normalizers_that_change_spaces_are_known(make: Callable[[], Tokenizer]) -> None:
    assert find_word_ends(make()) is None


@pytest.mark.parametrize(
    ("step", "refused"),
    [
        (replaced("-", " - "), "-"),
        (replaced("-", ""), "-"),
        (replaced(Regex("[-+]"), " "), "+"),
        (replaced("-", "\u0301"), "-"),
        (normalizers.NFKC(), "\u00b4"),
    ],
)
def test_characters_that_become_spaces_end_no_word(step: Any, refused: str) -> None:
    ends = find_word_ends(normalised(step)())
    assert ends is not None
    assert not ends[refused]
    assert all(ends[each] for each in "a.1")


def test_every_step_but_one_leaves_words_apart() -> None:
    for step in set(STEPS) - {"detokenize"}:
        tokenizer = trained("word", normalizer=make_normalizer(step), pre_tokenizer=WHITESPACE)
        assert find_word_ends(tokenizer) is not None, step


def test_a_prefix_stands_behind_added_tokens_too() -> None:
    tokenizer = llama()
    tokenizer.add_tokens([AddedToken("cat", normalized=False)])
    wrapped = TextTokenizer(tokenizer, config_of(tokenizer), source="here")
    texts = ["the cat sat"] * 3
    assert as_lists(wrapped.encode_rows(texts)) == ids_of(tokenizer, texts)


def test_other_tokenizers_are_not_looked_up() -> None:
    tokenizer = trained(
        "bpe", unk_token="<unk>", pre_tokenizer=pre_tokenizers.Split(Regex(r"\p{L}+ ?"), "isolated")
    )
    wrapped = TextTokenizer(tokenizer, config_of(tokenizer), source="here")
    texts = ["the cat sat"] * 3
    assert as_lists(wrapped.encode_rows(texts)) == ids_of(tokenizer, texts)
