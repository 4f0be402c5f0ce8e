"""Constraints: what may come is what continues an allowed text, for tokenizers of all kinds."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmscore.errors import MissingExtraError, OptionError, how_to_install
from lmscore.runtime.decoding.constraint import Constraint, ConstraintState, make_constraint
from lmscore.runtime.decoding.text import Prompt
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from tests.models import WORDS, make_model, make_tokenizer


@pytest.fixture(scope="module")
def char_lm(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    path = tmp_path_factory.mktemp("char") / "model"
    return load(make_model(path, tokenizer="char", variants=("fp32",)).path)


@pytest.fixture(scope="module")
def spaced_lm(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    """Byte-level, with a space in front of every text, as `lmscore train` makes it."""
    from tokenizers import pre_tokenizers

    tokenizer = make_tokenizer("bpe", 300, "sentence")
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    path = tmp_path_factory.mktemp("spaced") / "model"
    return load(make_model(path, tokenizer=tokenizer, variants=("fp32",)).path)


@pytest.fixture(scope="module", params=["lm", "document_lm", "bpe_lm", "spaced_lm", "char_lm"])
def any_lm(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def constrain(lm: LanguageModel, **what: Any) -> Constraint:
    constraint = make_constraint(lm.tokenizer, lm.config, **what)
    assert constraint is not None
    return constraint


def spell(state: ConstraintState, lm: LanguageModel) -> set[str]:
    """The tokens that may come."""
    return {lm.tokenizer.token(token) for token in np.flatnonzero(state.allowed()).tolist()}


def texts(lm: LanguageModel, prompt: str = "", **options: Any) -> list[str]:
    """Continuations that came to their end."""
    samples = lm.sample(prompt, num_samples=12, max_tokens=200, seed=1, **options)
    return [sample.text for sample in samples if sample.finish_reason == "eos"]


def test_no_constraint(lm: LanguageModel) -> None:
    assert make_constraint(lm.tokenizer, lm.config) is None


@pytest.mark.parametrize(
    ("prompt", "space"), [("", ""), ("the", " "), ("the ", ""), ("the  ", ""), ("  ", "")]
)
def test_allowed_words_follow_a_prompt(any_lm: LanguageModel, prompt: str, space: str) -> None:
    found = texts(any_lm, prompt, allowed_words={"cat", "dog", "sat"})
    assert found
    for text in found:
        assert re.fullmatch(f"{space}(cat|dog|sat)( (cat|dog|sat))*", text)


@pytest.mark.parametrize(
    ("prompt", "space"), [("", ""), ("the", " ?"), ("the ", ""), ("the  ", ""), ("  ", "")]
)
def test_a_pattern_follows_a_prompt(any_lm: LanguageModel, prompt: str, space: str) -> None:
    found = texts(any_lm, prompt, pattern=r"(cat|dog)( s[at]+){1,3}")
    assert found
    for text in found:
        assert re.fullmatch(rf"{space}(cat|dog)( s[at]+){{1,3}}", text)


def test_a_pattern_of_characters(bpe_lm: LanguageModel, char_lm: LanguageModel) -> None:
    for lm in (bpe_lm, char_lm):
        found = texts(lm, pattern=r"\d{2,3}/[A-F]+\n?" if lm is bpe_lm else r"\d{2,3}/[A-F]+")
        assert found
        assert all(re.fullmatch(r"\d{2,3}/[A-F]+\n?", text) for text in found)


def test_characters_of_several_bytes(bpe_lm: LanguageModel) -> None:
    found = texts(bpe_lm, pattern="(é|€|😀){3}")
    assert found
    assert all(len(text) == 3 and set(text) <= set("é€😀") for text in found)


def test_an_empty_continuation(any_lm: LanguageModel) -> None:
    for prompt, possible in (("", {""}), ("the", {"", " "}), ("the ", {""})):
        assert set(texts(any_lm, prompt, pattern="()")) <= possible
    start = constrain(any_lm, pattern="(cat)?").start(Prompt.read(any_lm.tokenizer, ""))
    assert "</s>" in spell(start, any_lm)


@settings(max_examples=30)
@given(data=st.data())
def test_allowed_is_what_continues_a_word(spaced_lm: LanguageModel, data: st.DataObject) -> None:
    words = data.draw(
        st.sets(st.text('ab|.é*/\\"#$\x00', min_size=1, max_size=4), min_size=1, max_size=6)
    )
    state = constrain(spaced_lm, allowed_words=words).start(Prompt.read(spaced_lm.tokenizer, ""))
    # Every prefix of a text of three words, the space of the tokenizer in front.
    whole = {"": False}
    for _ in range(3):
        whole |= {f"{text} {word}": True for text in [*whole] for word in words}
    ends = {text.encode() for text, complete in whole.items() if complete}
    prefixes = {text.encode()[:size] for text in whole for size in range(len(text.encode()) + 1)}
    longest = max(map(len, spaced_lm.tokenizer.pieces))
    spelt = b""
    for _ in range(4):
        expected = np.array(
            [piece != b"" and spelt + piece in prefixes for piece in spaced_lm.tokenizer.pieces]
        )
        expected[spaced_lm.config.eos_token_id] = spelt in ends
        if len(spelt) + longest < min(map(len, map(str.encode, words))) * 3:
            assert np.array_equal(state.allowed(), expected)
        else:  # the list ends where texts may go on
            assert not (expected & ~state.allowed()).any()
        choices = np.flatnonzero(state.allowed())
        token = data.draw(st.sampled_from(choices.tolist()))
        if token == spaced_lm.config.eos_token_id:
            break
        spelt += spaced_lm.tokenizer.pieces[token]
        state = state.advance(token)


def test_a_state_is_a_value(lm: LanguageModel) -> None:
    start = constrain(lm, pattern="the (cat|dog)").start(Prompt.read(lm.tokenizer, ""))
    before = start.allowed()
    the = int(lm.tokenizer.encode("the")[0])
    for _ in range(2):
        following = start.advance(the)
        assert spell(following, lm) == {"cat", "dog"}
        assert np.array_equal(start.allowed(), before)


def test_words_that_cannot_be_spelt_do_not_come(lm: LanguageModel) -> None:
    constraint = constrain(lm, allowed_words=["cat", "zebra", "catalogue", "<unk>"])
    state = constraint.start(Prompt.read(lm.tokenizer, "the"))
    assert spell(state, lm) == {"cat"}
    cat = int(lm.tokenizer.encode("cat")[0])
    assert spell(state.advance(cat), lm) == {"cat", "</s>"}


def test_an_unknown_word_matches_no_pattern(lm: LanguageModel) -> None:
    state = constrain(lm, pattern=".*").start(Prompt.read(lm.tokenizer, "the"))
    assert not spell(state, lm) & {"<unk>", "<s>"}
    assert {"</s>", "cat"} <= spell(state, lm)


def test_ten_thousand_words(bpe_lm: LanguageModel) -> None:
    draw = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnop"))
    words = {"".join(draw.choice(letters, draw.integers(2, 10))) for _ in range(10_000)}
    found = texts(bpe_lm, "the", allowed_words=words)
    assert found
    assert all(set(text.split()) <= words for text in found)


def test_a_stream_is_constrained_too(any_lm: LanguageModel) -> None:
    options: dict[str, Any] = {"allowed_words": ["cat", "dog"], "seed": 1, "max_tokens": 30}
    (sample,) = any_lm.sample("the", **options)
    assert "".join(any_lm.stream("the", **options)) == sample.text


def test_a_beam_is_constrained_too(any_lm: LanguageModel) -> None:
    for sample in any_lm.beam_search("the", pattern="( ?(cat|dog)){2}", max_tokens=30):
        assert re.fullmatch(" ?( ?(cat|dog)){2}", sample.text)
        assert sample.finish_reason == "eos"


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "pattern: unclosed group"),
        ("a)(b", "pattern: unopened group"),
        ("a\\", r"pattern: a single backslash at the end of 'a\\'"),
        ("(a)\\1", "pattern: backreferences are not supported"),
        ("a(?=b)", "pattern: look-around, including look-ahead and look-behind, is not supported"),
        ("\ud800", r"pattern: '\ud800' holds half a surrogate pair"),
        (3, "pattern must be a regular expression, not 3"),
    ],
)
def test_no_patterns(lm: LanguageModel, pattern: str, message: str) -> None:
    with pytest.raises(OptionError) as error:
        make_constraint(lm.tokenizer, lm.config, pattern=pattern)
    assert str(error.value) == message


def test_a_pattern_that_nothing_matches(lm: LanguageModel) -> None:
    with pytest.raises(OptionError) as error:
        lm.sample("the", pattern="zebra")
    assert str(error.value) == (
        "pattern: the model's vocabulary cannot spell what has to come at the beginning"
    )
    with pytest.raises(OptionError) as error:
        lm.sample("the", pattern="cat zebra")
    assert str(error.value) == (
        "pattern: the model's vocabulary cannot spell what has to come after ' cat'"
    )
    with pytest.raises(OptionError, match="cannot spell what has to come at the beginning"):
        lm.sample("the", pattern=r"[^\x00-\x{10FFFF}]")


def test_a_pattern_that_is_too_complex(
    bpe_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern = r"(\p{L}{1,50} ?){1,200}x"
    assert bpe_lm.sample(pattern=pattern, max_tokens=30, seed=1)
    monkeypatch.setattr("lmscore.runtime.decoding.constraint._STEP_FUEL", 10_000)
    with pytest.raises(OptionError, match="pattern: lexer error: too many expressions"):
        bpe_lm.sample(pattern=pattern, max_tokens=30, seed=1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("cat", "allowed_words must be a set or list of words, not 'cat'"),
        (3, "allowed_words must be a set or list of words, not 3"),
        (["a cat"], "allowed_words: 'a cat' is not a word: text without white space"),
        ([""], "allowed_words: '' is not a word: text without white space"),
        ([None], "allowed_words: None is not a word: text without white space"),
        (["\ud800"], r"allowed_words: '\ud800' holds half a surrogate pair"),
        ([], "allowed_words: the model's vocabulary can spell none of the 0"),
        (["zebra", "gnu"], "allowed_words: the model's vocabulary can spell none of the 2"),
    ],
)
def test_no_words(lm: LanguageModel, words: Any, message: str) -> None:
    with pytest.raises(OptionError) as error:
        make_constraint(lm.tokenizer, lm.config, allowed_words=words)
    assert str(error.value) == message


@pytest.mark.parametrize("what", [{"pattern": "a"}, {"allowed_words": WORDS}])
def test_without_llguidance(
    lm: LanguageModel, what: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(MissingExtraError) as error:
        lm.sample("the", **what)
    assert str(error.value) == (
        f"this needs the package 'llguidance': {how_to_install('constrain')}"
    )


def test_both_exclude_each_other(lm: LanguageModel, model_path: Path) -> None:
    with pytest.raises(OptionError, match="allowed_words and pattern exclude each other"):
        make_constraint(lm.tokenizer, lm.config, allowed_words=["a"], pattern="a")
