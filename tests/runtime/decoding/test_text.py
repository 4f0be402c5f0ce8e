"""Tokens to text, held against what tokenizers' own decoding gives."""

from __future__ import annotations

import functools
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, pre_tokenizers

from lmscore.errors import InputError
from lmscore.runtime.decoding.result import Sample
from lmscore.runtime.decoding.text import Continuation, Prompt
from lmscore.runtime.text.tokenizer import TextTokenizer
from lmscore.train.options import TrainOptions
from lmscore.train.prepare import make_config
from lmscore.train.tokenizers import make_vocabulary
from tests.train.toy import sentences

KINDS = ("word", "char", "bpe", "unigram")
TEXT = [*sentences(40), "naïve cafés 床前明月光 😀 a b c"]
PROMPTS = ["", "the dog", "the dog ", "the dog  ", " the", "  ", "naïve", "床前", "zebra?", "a\tb"]


@functools.cache
def tokenizer_of(kind: str) -> tuple[TextTokenizer, Tokenizer]:
    """As the runtime has it, and the library's own, which decodes."""
    options = TrainOptions(train=("text",), output="model", tokenizer=kind, vocab_size=300)
    vocabulary = make_vocabulary(TEXT, options)
    theirs = Tokenizer.from_str(vocabulary.tokenizer.to_str())
    config = make_config(options, vocabulary, "")
    return TextTokenizer(vocabulary.tokenizer, config, source="tokenizer.json"), theirs


def continuation(
    kind: str, prompt: str = "", stop: tuple[str, ...] = ()
) -> tuple[TextTokenizer, Continuation]:
    tokenizer, _ = tokenizer_of(kind)
    unk = tokenizer_of(kind)[1].token_to_id("<unk>")
    return tokenizer, Continuation(tokenizer, Prompt.read(tokenizer, prompt), unk_id=unk, stop=stop)


def grow(
    kind: str, tokens: list[int], prompt: str = "", stop: tuple[str, ...] = ()
) -> tuple[list[str], Sample]:
    """The pieces as they come, and what it comes to."""
    _, growing = continuation(kind, prompt, stop)
    pieces = []
    for number, token in enumerate(tokens, 1):
        pieces.append(growing.add(token, -float(number)))
        if growing.stopped:
            break
    pieces.append(growing.finish())
    return pieces, growing.sample("stop" if growing.stopped else "length")


def ids_of(kind: str, text: str) -> list[int]:
    ids: list[int] = tokenizer_of(kind)[0].encode(text).tolist()
    return ids


tokens_of = {
    kind: st.lists(st.integers(2, tokenizer_of(kind)[1].get_vocab_size() - 1), max_size=12)
    for kind in KINDS
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), prompt=st.sampled_from(PROMPTS))
def test_pieces_are_what_decoding_adds(kind: str, data: st.DataObject, prompt: str) -> None:
    tokens = data.draw(tokens_of[kind])
    ours, theirs = tokenizer_of(kind)
    ids = ours.encode(prompt).tolist()
    before = theirs.decode(ids, skip_special_tokens=False)
    after = theirs.decode([*ids, *tokens], skip_special_tokens=False)
    drops = Prompt.read(ours, prompt).drops_space
    expected = after.removeprefix(before)
    if drops or (kind == "word" and not ids):
        expected = expected.removeprefix(" ")
    pieces, sample = grow(kind, tokens, prompt)
    assert "".join(pieces) == sample.text
    # A character that is unfinished at the end is left out; the library shows a U+FFFD for it.
    assert expected in (sample.text, sample.text + "\ufffd")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("prompt", "text"), [("", "the dog sees"), ("the dog", " sees a cat"), ("the dog ", "sees")]
)
def test_text_that_was_encoded_comes_back(kind: str, prompt: str, text: str) -> None:
    if kind in ("bpe", "unigram") and prompt.endswith(" "):
        ids = ids_of(kind, prompt + text)[len(ids_of(kind, prompt.rstrip())) :]
        text = f" {text}"
        prompt = prompt.rstrip()
    else:
        ids = ids_of(kind, prompt + text)[len(ids_of(kind, prompt)) :]
    assert grow(kind, ids, prompt)[1].text == text


def test_half_a_character_is_held_back() -> None:
    euro = "€".encode()
    tokenizer, growing = continuation("bpe", "x")
    byte = {piece: token for token, piece in enumerate(tokenizer.pieces)}
    tokens = [byte[euro[i : i + 1]] for i in range(3)]
    assert [growing.add(token, -1.0) for token in tokens] == ["", "", "€"]
    assert growing.add(tokens[0], -1.0) == ""
    assert growing.add(byte[b"a"], -1.0) == "\ufffda"
    assert growing.add(tokens[0], -1.0) == ""
    assert growing.finish() == ""
    sample = growing.sample("length")
    assert sample.text == "€\ufffda"
    assert [(token.start, token.end) for token in sample.tokens] == [
        (0, 1),
        (0, 1),
        (0, 1),
        (1, 2),
        (1, 3),
        (3, 3),
    ]


# Where the ranges of UTF-8's first and second bytes begin and end.
EDGES = bytes.fromhex("41 80 8f 90 9f a0 bf c1 c2 df e0 e1 ec ed ee ef f0 f1 f3 f4 f5 ff")


@pytest.mark.parametrize("size", [1, 2, 3])
def test_what_cannot_become_a_character_is_shown_at_once(size: int) -> None:
    tokenizer, _ = tokenizer_of("bpe")
    token_of = {piece: token for token, piece in enumerate(tokenizer.pieces)}
    for spelt in map(bytes, itertools.product(EDGES, repeat=size)):
        text = grow("bpe", [token_of[bytes([byte])] for byte in spelt], "x")[1].text
        unfinished = _begins_a_character(spelt)
        assert text + "\ufffd" * unfinished == spelt.decode("utf-8", "replace"), spelt.hex()


def _begins_a_character(spelt: bytes) -> bool:
    """Whether bytes end in one to three that may become a character with more behind them."""
    for size in range(1, 4):
        for more in itertools.product(b"\x80\x90\xa0\xbf", repeat=4 - size):
            for rest in (bytes(more[:n]) for n in range(1, len(more) + 1)):
                try:
                    if len((spelt[-size:] + rest).decode()) == 1 and size <= len(spelt):
                        return True
                except UnicodeDecodeError:
                    pass
    return False


def test_offsets_cover_the_text() -> None:
    ids = ids_of("bpe", "the dog sees")
    sample = grow("bpe", ids)[1]
    assert sample.text == "the dog sees"
    assert sample.tokens[0].start == 0
    assert sample.tokens[-1].end == len(sample.text)
    for left, right in zip(sample.tokens, sample.tokens[1:], strict=False):
        assert left.end == right.start
    for token in sample.tokens:
        spelt = token.text.replace("Ġ", " ")
        assert sample.text[token.start : token.end] == (spelt if token.start else spelt.lstrip())


def test_what_a_token_score_holds() -> None:
    ids = [*ids_of("word", "the zebra"), 1]
    _, sample = grow("word", ids, "a")
    assert [token.id for token in sample.tokens] == ids
    assert [token.text for token in sample.tokens] == ["the", "<unk>", "</s>"]
    assert [token.is_oov for token in sample.tokens] == [False, True, False]
    assert [token.log_prob for token in sample.tokens] == [-1, -2, -3]
    assert sample.log_prob == -6
    assert sample.text == " the <unk>"
    end = len(sample.text)
    assert [(token.start, token.end) for token in sample.tokens] == [(0, 4), (4, end), (end, end)]


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_stop_strings_cut_the_text_wherever_tokens_end(kind: str, data: st.DataObject) -> None:
    tokens = data.draw(tokens_of[kind])
    whole = grow(kind, tokens)[1].text
    parts = [whole[i:j] for i in range(len(whole)) for j in range(i + 1, len(whole) + 1)]
    stop = tuple(
        data.draw(st.lists(st.sampled_from(parts or ["x"]) | st.text(min_size=1), max_size=3))
    )
    pieces, sample = grow(kind, tokens, stop=stop)
    assert "".join(pieces) == sample.text
    assert sample.text == cut(whole, stop)
    if sample.finish_reason == "stop":
        assert all(token.start < len(sample.text) for token in sample.tokens)
    assert all(token.end <= len(sample.text) for token in sample.tokens)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_longer_copy_leaves_the_text_as_it_is(kind: str, data: st.DataObject) -> None:
    """Also within a character, and where a stop string may have begun."""
    tokens = data.draw(tokens_of[kind])
    stop = tuple(data.draw(st.lists(st.text(alphabet="abe é", min_size=1, max_size=3), max_size=2)))
    _, growing = continuation(kind, stop=stop)
    _, copied = continuation(kind, stop=stop)
    for number, token in enumerate(tokens, 1):
        longer = copied.extended(token, -float(number))
        copied.extended(tokens[0], -1.0)  # another one, of which this one knows nothing
        assert copied.tokens == growing.tokens
        growing.add(token, -float(number))
        assert (longer.text, longer.stopped) == (growing.text, growing.stopped)
        if growing.stopped:
            return
        copied = longer
    assert copied.finish() == growing.finish()
    assert copied.sample("length") == growing.sample("length")


def cut(text: str, stop: tuple[str, ...]) -> str:
    """As the text would come character by character."""
    for end in range(1, len(text) + 1):
        ended = [text[:end].removesuffix(s) for s in stop if text[:end].endswith(s)]
        if ended:
            return min(ended, key=len)
    return text


def test_text_that_may_become_a_stop_string_is_held_back() -> None:
    _, growing = continuation("char", stop=("dog", "ogre"))
    pieces = [growing.add(token, -1.0) for token in ids_of("char", "a do do ogr")]
    assert pieces == ["a", " ", "", "", "do ", "", "", "do ", "", "", ""]
    assert growing.text == "a do do "
    assert growing.finish() == "ogr"
    assert growing.text == "a do do ogr"


def test_a_stop_string_across_tokens() -> None:
    ids = ids_of("word", "the dog sees the cat")
    pieces, sample = grow("word", ids, stop=("g s",))
    assert pieces == ["the", " do", "", ""]
    assert sample.text == "the do"
    assert [token.text for token in sample.tokens] == ["the", "dog"]
    assert sample.tokens[-1].end == len(sample.text)
    assert sample.log_prob == -3
    assert sample.finish_reason == "stop"


def test_a_space_that_a_tokenizer_puts_first_is_told_from_one_that_is_text() -> None:
    def drops(kind: str, prompt: str) -> bool:
        return Prompt.read(tokenizer_of(kind)[0], prompt).drops_space

    assert [drops(kind, "") for kind in KINDS] == [True, False, True, True]
    assert [drops(kind, "the") for kind in KINDS] == [False] * 4
    assert [drops(kind, "the ") for kind in KINDS] == [True, False, False, False]
    assert [drops(kind, "the\u3000") for kind in KINDS] == [True, True, False, False]


def test_a_tokenizer_without_a_space_in_front(bpe_tokenizer: TextTokenizer) -> None:
    prompt = Prompt.read(bpe_tokenizer, "")
    growing = Continuation(bpe_tokenizer, prompt, unk_id=None)
    for token in bpe_tokenizer.encode(" the"):
        growing.add(int(token), -1.0)
    assert growing.text == " the"


@pytest.fixture
def bpe_tokenizer() -> TextTokenizer:
    options = TrainOptions(train=("text",), output="model", tokenizer="bpe", vocab_size=300)
    vocabulary = make_vocabulary(TEXT, options)
    vocabulary.tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    config = make_config(options, vocabulary, "")
    return TextTokenizer(vocabulary.tokenizer, config, source="tokenizer.json")


def test_a_prompt_that_is_no_text() -> None:
    tokenizer, _ = tokenizer_of("bpe")
    with pytest.raises(InputError, match="text 3: expected a string, got NoneType"):
        Prompt.read(tokenizer, None, 3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="lone surrogate"):
        Prompt.read(tokenizer, "\ud800")
