"""The next words, held against all the token sequences there are."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from lmscore.errors import InputError, ModelError, OptionError
from lmscore.names import NextUnit
from lmscore.runtime.decoding import next_words
from lmscore.runtime.decoding.units import Unit, Wanted
from lmscore.runtime.engine import Graph, State
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from tests.models import WORDS, make_model

TEXTS = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)
SMALL = 3e-5  # token sequences less likely than this are not enumerated

Tokens = tuple[int, ...]


@pytest.fixture(scope="module", params=[0, 1, 2])
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    """Ten tokens of bytes: a lone space, a letter in two bytes, a token with a space inside."""
    path = tmp_path_factory.mktemp("tiny") / "model"
    vocabulary = ["<s>", "</s>", "Ġ", "a", "b", "Ġa", "ab", "Ã", "©", "bĠa"]
    tokenizer = Tokenizer(
        models.BPE({token: i for i, token in enumerate(vocabulary)}, [("Ġ", "a"), ("a", "b")])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    made = make_model(path, tokenizer=tokenizer, hidden=8, seed=request.param, variants=("fp32",))
    return load(made.path, variant="fp32")


@pytest.fixture(scope="module")
def char_lm(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    path = tmp_path_factory.mktemp("char") / "model"
    return load(make_model(path, tokenizer="char", hidden=8, variants=("fp32",)).path)


def after(lm: LanguageModel, text: str) -> tuple[NDArray[np.float64], State]:
    """P(token | text), float64 [V], and the state."""
    state = lm.initial_state()
    for token in [lm.config.bos_token_id, *lm.tokenizer.encode(text).tolist()]:
        log_probs, state = lm.step([token], state)
    return np.exp(log_probs[0].astype(np.float64)), state


def outcomes(lm: LanguageModel, text: str) -> Iterator[tuple[bytes, Tokens, float]]:
    """Every next word, the tokens that spell it, and the probability of both.

    A word is known as soon as white space or </s> comes after it; until then the tokens go on.
    """
    begins, pieces = lm.tokenizer.begins_word, lm.tokenizer.pieces
    first, state = after(lm, text)
    if text:
        first = np.where(begins, first, 0) / first[begins].sum()
    paths: list[tuple[Tokens, float]] = [((), 1.0)]
    following = [first]
    while paths:
        longer, rows = [], []
        for row, (tokens, _) in enumerate(paths):
            for token in set(range(lm.vocab_size)) - {lm.config.bos_token_id}:
                spelt = b"".join(pieces[t] for t in (*tokens, token))
                words = spelt.split()
                over = bool(words) and spelt.lstrip() != words[0]
                probability = float(following[row][token])
                if token == lm.config.eos_token_id:
                    yield (words[0] if words else b"</s>"), tokens, probability
                elif over:
                    spelling = tokens if begins[token] else (*tokens, token)
                    yield words[0], spelling, probability
                elif probability > SMALL:
                    longer.append(((*tokens, token), probability))
                    rows.append(row)
        paths = longer
        if paths:
            log_probs, state = lm.step([tokens[-1] for tokens, _ in paths], state, rows)
            scale = np.array([[probability] for _, probability in paths])
            following = list(np.exp(log_probs.astype(np.float64)) * scale)


def is_utf8(word: bytes) -> bool:
    return word.decode("utf-8", "ignore").encode() == word


@settings(max_examples=12)
@given(text=st.sampled_from(["", "a", "ab a", "b ab", "é", "a é b"]), k=st.integers(1, 30))
def test_it_is_the_best_of_all_there_is(tiny: LanguageModel, text: str, k: int) -> None:
    spellings: defaultdict[str, defaultdict[Tokens, float]]
    spellings = defaultdict(lambda: defaultdict(float))
    total = 0.0
    for spelt, spelling, probability in outcomes(tiny, text):
        total += probability
        if is_utf8(spelt):
            spellings[spelt.decode()][spelling] += probability
    left = 1 - total  # what was not enumerated, and <s>

    found = tiny.next_words(text, k)
    probabilities = [probability for _, probability in found]
    assert len(found) == k
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) <= 1 + 1e-6
    least = probabilities[-1] * (1 + 1e-4)
    for word, probability in found:
        known = spellings[word].values()
        assert probability <= sum(known) + left + 1e-6
        if word != "</s>":  # whose white space the search need not have followed
            assert probability >= sum(p for p in known if p > least) - 1e-6
    for word in spellings.keys() - dict(found).keys():
        assert max(spellings[word].values()) <= least


@settings(max_examples=20)
@given(text=TEXTS, k=st.integers(1, 70))
@pytest.mark.parametrize("name", ["lm", "document_lm"])
def test_of_a_word_model_it_is_the_best_tokens(
    request: pytest.FixtureRequest, name: str, text: str, k: int
) -> None:
    lm: LanguageModel = request.getfixturevalue(name)
    probabilities, _ = after(lm, text)
    if lm.config.context == "sentence":
        probabilities[lm.config.bos_token_id] = 0
    best = np.argsort(-probabilities, kind="stable")[:k]
    expected = [(lm.tokenizer.token(i), probabilities[i]) for i in best.tolist()]
    found = lm.next_words(text, k, unk=True)
    assert [word for word, _ in found] == [word for word, p in expected if p]
    assert [p for _, p in found] == pytest.approx([p for _, p in expected if p])
    assert "<unk>" in dict(lm.next_words(text, lm.vocab_size, unk=True))
    assert "<unk>" not in dict(lm.next_words(text, lm.vocab_size))


@pytest.mark.parametrize("text", ["", "the cat"])
def test_it_is_the_score_of_the_word(lm: LanguageModel, bpe_lm: LanguageModel, text: str) -> None:
    for word, probability in lm.next_words(text, 60):
        assert probability == pytest.approx(score_of(lm, text, word), rel=1e-4)
    for word, probability in bpe_lm.next_words(text, 20):  # of all spellings
        assert probability >= score_of(bpe_lm, text, word) * (1 - 1e-4)


def score_of(lm: LanguageModel, text: str, word: str) -> float:
    """The probability of the word in a sentence that ends with it, or with `</s>`."""
    if word == "</s>":
        return math.exp(lm.score(text, words=True).words[-1].log_prob)
    return math.exp(lm.score(f"{text} {word}".lstrip(), words=True).words[-2].log_prob)


@pytest.mark.parametrize("name", ["lm", "bpe_lm", "char_lm"])
def test_white_space_at_the_end_is_dropped(request: pytest.FixtureRequest, name: str) -> None:
    lm: LanguageModel = request.getfixturevalue(name)
    assert lm.next_words("a \t\n") == lm.next_words("a")
    assert lm.next_words("  ") == lm.next_words()


def test_words_are_whole(char_lm: LanguageModel) -> None:
    for word, _ in char_lm.next_words("the ca", 20):
        assert word
        assert word.split() == [word]


def test_the_limit_of_work(
    char_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(next_words, "_MIN_WORK", 40)
    monkeypatch.setattr(next_words, "_WORK_PER_WORD", 1)
    with caplog.at_level(logging.WARNING, "lmscore"):
        found = char_lm.next_words("the", 10)
    assert caplog.messages == [
        "next words: stopped after 40 partial words; a likelier word may be missing"
    ]
    assert len(found) == 10
    assert sum(probability for _, probability in found) < 1


def test_without_word_boundaries_the_outcomes_are_tokens(
    chinese_lm: LanguageModel, lm: LanguageModel, bpe_lm: LanguageModel
) -> None:
    assert chinese_lm.next_unit() == "token"
    assert (lm.next_unit(), bpe_lm.next_unit()) == ("word", "word")
    text = "\u79e6\u5ddd"
    probabilities, _ = after(chinese_lm, text)
    found = dict(chinese_lm.next_words(text, 20))
    assert "<unk>" not in found
    assert found["</s>"] == pytest.approx(probabilities[2])
    assert found["\u660e"] == pytest.approx(probabilities[7])
    assert len(found) == 8
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_words_that_nothing_ends_are_refused(chinese_lm: LanguageModel) -> None:
    for options in ({}, {"partial": "\u660e"}, {"allowed": ["\u660e\u6708"]}):
        with pytest.raises(OptionError, match="unit is 'word', but no token of the vocabulary beg"):
            chinese_lm.next_words("\u79e6", unit="word", **options)


def test_letters_without_spaces_are_characters(tmp_path: Path) -> None:
    """Amino acids, say: not a script without spaces, but nothing shows where words begin."""
    vocabulary = {name: number for number, name in enumerate(["<unk>", "<s>", "</s>", *"ACDEFG"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    made = make_model(tmp_path / "model", tokenizer=tokenizer, hidden=8, variants=("fp32",))
    lm = load(made.path)
    assert (lm.next_unit(), lm.next_unit(allowed=["AC"])) == ("token", "character")
    assert dict(lm.next_words("G", allowed=["AC", "D"])).keys() == {"AC", "D"}


def test_characters_with_their_marks(chinese_lm: LanguageModel) -> None:
    found = dict(chinese_lm.next_words("\u79e6", 40, unit="character"))
    once, state = after(chinese_lm, "\u79e6")
    log_probs, state = chinese_lm.step([7], state)
    twice = np.exp(log_probs[0].astype(np.float64))
    alone = 1 - twice[9] - twice[1]  # neither the mark nor <s> follows
    assert found["\u660e"] == pytest.approx(once[7] * alone, rel=0.3)  # <unk> may follow
    assert found["\u660e\u0301"] <= once[7] * twice[9]
    assert found["</s>"] == pytest.approx(once[2])


def test_tokens_of_a_subword_model(bpe_lm: LanguageModel) -> None:
    (best,) = bpe_lm.next_words("the cat", 1, unit="token")
    probabilities, _ = after(bpe_lm, "the cat")
    assert best[1] == pytest.approx(probabilities.max())


@pytest.mark.parametrize("name", ["lm", "bpe_lm", "char_lm"])
def test_words_that_have_been_begun(request: pytest.FixtureRequest, name: str) -> None:
    lm: LanguageModel = request.getfixturevalue(name)
    found = lm.next_words("the cat", 5, partial="t")
    assert found
    assert all(word.startswith("t") for word, _ in found)
    for word, probability in found:
        assert probability >= score_of(lm, "the cat", word) * (1 - 1e-4)
    assert lm.next_words("the cat", 3, partial="zqzqzq") == [] or name != "lm"


@pytest.mark.parametrize("name", ["lm", "bpe_lm", "char_lm"])
def test_words_that_are_allowed(request: pytest.FixtureRequest, name: str) -> None:
    lm: LanguageModel = request.getfixturevalue(name)
    found = lm.next_words("the", 9, allowed={"cat", "thanks", "dog"})
    assert {word for word, _ in found} == {"cat", "thanks", "dog"}
    for word, probability in found:
        assert probability >= score_of(lm, "the", word) * (1 - 1e-4)
    begun = lm.next_words("the", 9, allowed=["cat", "thanks"], partial="th")
    assert [word for word, _ in begun] == ["thanks"]


def test_strings_of_characters_that_are_allowed(chinese_lm: LanguageModel) -> None:
    text, allowed = "\u79e6", ["\u660e", "\u660e\u6708", "\u5e8a\u524d\u660e\u6708"]
    found = dict(chinese_lm.next_words(text, 9, allowed=allowed))
    assert list(found) == sorted(allowed, key=len)
    tokenizer = chinese_lm.tokenizer
    for word in allowed:
        expected = 1.0
        probabilities, state = after(chinese_lm, text)
        for token in chinese_lm.encode(word).tolist():
            expected *= float(probabilities[token])
            log_probs, state = chinese_lm.step([token], state)
            probabilities = np.exp(log_probs[0].astype(np.float64))
        expected *= float(probabilities[tokenizer.begins_character].sum())
        assert found[word] == pytest.approx(expected, rel=1e-4)
    assert dict(chinese_lm.next_words(text, 9, allowed=allowed, partial=allowed[1])) == {
        allowed[1]: found[allowed[1]]
    }
    with pytest.raises(OptionError, match="is more than a character, and a word is"):
        chinese_lm.next_words(text, partial=allowed[1])


def test_punctuation_is_merged(char_lm: LanguageModel) -> None:
    found = char_lm.next_words("the", 9, allowed={"cat", "cat,", "cat.", ",", "mat"}, merge=True)
    assert {word for word, _ in found} == {"cat", ",", "mat"}
    apart = dict(char_lm.next_words("the", 9, allowed={"cat", "cat,", "cat."}))
    assert dict(found)["cat"] == pytest.approx(sum(apart.values()))


def test_several_texts_and_states(bpe_lm: LanguageModel) -> None:
    texts = ["the cat", "a dog", "the cat"]
    expected = [bpe_lm.next_words(text, 4) for text in texts]
    assert bpe_lm.next_words_batch(texts, 4) == expected
    steps = [bpe_lm.engine.read(bpe_lm.encode(text)) for text in texts]
    log_probs = np.concatenate([step.log_probs for step in steps])
    state = State.concat([step.state for step in steps])
    assert bpe_lm.next_words_after(log_probs, state, 4) == expected
    first, state = bpe_lm.step([bpe_lm.config.bos_token_id], bpe_lm.initial_state())
    assert bpe_lm.next_words_after(first, state, 4, begun=False) == [bpe_lm.next_words("", 4)]
    with pytest.raises(InputError, match=r"log_probs are \[1, 2\], expected \[1, 300\]"):
        bpe_lm.next_words_after(np.zeros((1, 2), np.float32), state)
    with pytest.raises(InputError, match="expected several texts"):
        bpe_lm.next_words_batch("the")


def test_no_warning_where_the_search_ends(
    lm: LanguageModel, caplog: pytest.LogCaptureFixture
) -> None:
    lm.next_words("the", 1000)
    assert not caplog.messages


def test_errors(lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match=r"k must be an integer in 1..10000, not 0"):
        lm.next_words("the", 0)
    with pytest.raises(OptionError, match="k must be"):
        lm.next_words("the", 2.5)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"k must be an integer in 1..10000, not 10001"):
        lm.next_words("the", 10_001)
    for options, message in (
        ({"unit": "line"}, "unit must be one of auto, word, character, token, not 'line'"),
        ({"partial": "a b"}, "partial must be the beginning of a word, no white space, not 'a b'"),
        ({"allowed": "cat"}, "allowed must be a set or list of words, not 'cat'"),
        ({"allowed": ["a b"]}, "a word of allowed must be text, no white space, not 'a b'"),
        ({"partial": "\ud800"}, "partial must be the beginning of a word, no white space, not"),
        ({"allowed": ["\ud800"]}, "a word of allowed must be text, no white space, not"),
        ({"unit": "token", "merge": True}, "partial, allowed and merge are about words"),
    ):
        with pytest.raises(OptionError, match=message):
            lm.next_words("the", **options)
    with pytest.raises(TypeError, match="unexpected keyword argument 'best'"):
        lm.next_words("the", best=1)  # type: ignore[call-arg]
    with pytest.raises(InputError, match="text 1: expected a string, got NoneType"):
        lm.next_words(None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="lone surrogate"):
        lm.next_words("a \ud800")


def test_probabilities_that_are_not_finite(
    lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Graph.run
    monkeypatch.setattr(
        Graph, "run", lambda *a, **k: [x * np.float32(np.nan) for x in run(*a, **k)]
    )
    with pytest.raises(ModelError, match="not finite"):
        lm.next_words("the")
    with pytest.raises(ModelError, match="not finite"):
        lm.beam_search("the")


def test_all_words_that_are_allowed(
    char_lm: LanguageModel, caplog: pytest.LogCaptureFixture
) -> None:
    allowed = ["cat", "cats", "mat"]
    with caplog.at_level(logging.WARNING):
        some = char_lm.next_words("the", 3, allowed=allowed)
        found = char_lm.next_words("the", 10_000, allowed=allowed)
        assert char_lm.next_words("the", 10, allowed=allowed, partial="x") == []
        assert char_lm.next_words("the", 10, allowed=[]) == []
    assert not caplog.records
    assert {word for word, _ in found} == set(allowed)
    assert dict(found) == pytest.approx(dict(some), rel=1e-3)


def test_allowed_words_that_nobody_expects(
    bpe_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Their spellings are too many to be read before the limit; one of each is enough."""
    word = "zqxjkvbwpzzqxk"
    monkeypatch.setattr(next_words, "_MIN_WORK", 100)
    monkeypatch.setattr(next_words, "_WORK_PER_WORD", 1)
    found = dict(bpe_lm.next_words("the", 10, allowed=["cat", word]))
    assert list(found) == ["cat", word]
    assert found[word] == pytest.approx(score_of(bpe_lm, "the", word), rel=0.5)
    stopped = "next words: stopped after 100 partial words; "
    assert caplog.messages == [f"{stopped}the probabilities of unlikely words may lack spellings"]
    caplog.clear()
    monkeypatch.setattr(next_words, "_MIN_WORK", 10)
    assert list(dict(bpe_lm.next_words("the", 10, allowed=["cat", word]))) == ["cat"]
    assert caplog.messages == [
        "next words: stopped after 10 partial words; a likelier word may be missing"
    ]


def wanted_by_looking_at_all(wanted: Wanted, spelt: bytes) -> list[int]:
    """The tokens that may follow what was spelt: each of the vocabulary is looked at."""
    unit, partial = wanted.unit, wanted.partial.encode()
    allowed = None if wanted.allowed is None else {word.encode() for word in wanted.allowed}
    found = []
    for token, piece in enumerate(wanted.tokenizer.pieces):
        begun = spelt + piece
        if unit.name == "word":
            text = begun.decode("utf-8", "surrogateescape").lstrip()
            begun = text.encode("utf-8", "surrogateescape")
        word, over = unit.first(begun)
        if over and not unit.all_are_whole:
            fits = wanted.accepts(word)
        else:
            fits = partial[: len(begun)] == begun[: len(partial)]
            fits &= allowed is None or any(
                word.startswith(begun) and word.startswith(partial) for word in allowed
            )
        found += [token] * fits
    return found


def test_a_word_that_is_over_is_not_followed_by_looking_at_all(
    bpe_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = bpe_lm
    looked: list[bytes] = []
    go_on = Wanted._may_go_on

    def look(self: Wanted, spelt: bytes) -> bool:
        looked.append(spelt)
        return go_on(self, spelt)

    monkeypatch.setattr(Wanted, "_may_go_on", look)
    unit = Unit.of("word", lm.tokenizer, 0, 1)
    wanted = Wanted(lm.tokenizer, unit, "", ["cat", "cats"])
    mask = wanted.tokens(b" cat")
    assert mask[unit.begins].all()
    assert 0 < len(looked) < 10 < unit.begins.sum()


@pytest.mark.parametrize(
    ("name", "unit_name", "length", "words", "spelt"),
    [
        ("bpe_lm", "word", 1, ["\N{IDEOGRAPHIC FULL STOP}"], b"\xe3\x80"),  # or a wide space
        ("char_lm", "character", 2, ["c", "ca"], b"c"),  # a word that is not full
    ],
)
def test_what_may_follow_some_beginnings(
    request: pytest.FixtureRequest,
    name: str,
    unit_name: NextUnit,
    length: int,
    words: list[str],
    spelt: bytes,
) -> None:
    tokenizer = request.getfixturevalue(name).tokenizer
    wanted = Wanted(tokenizer, Unit.of(unit_name, tokenizer, 0, length), "", words)
    found = np.flatnonzero(wanted.tokens(spelt)).tolist()
    assert found == wanted_by_looking_at_all(wanted, spelt)
    assert len(found) > 1


LETTERS = st.text(st.sampled_from("abetch é猫。\N{NO-BREAK SPACE}"), max_size=4)


@pytest.mark.parametrize("name", ["lm", "bpe_lm", "char_lm", "chinese_lm"])
@given(
    words=st.lists(LETTERS.map(lambda text: "".join(text.split())).filter(bool), max_size=6),
    use_all=st.booleans(),
    data=st.data(),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_tokens_that_spell_wanted_words(
    request: pytest.FixtureRequest,
    name: str,
    words: list[str],
    use_all: bool,
    data: st.DataObject,
) -> None:
    tokenizer = request.getfixturevalue(name).tokenizer
    words += ["cat", "cats", "the", "猫。"]
    partial = data.draw(st.sampled_from(["", *words])) if data.draw(st.booleans()) else ""
    partial = partial[: data.draw(st.integers(0, 3))]
    names: list[NextUnit] = ["word", "character"]
    unit_name = data.draw(st.sampled_from(names))
    if use_all and (not partial or unit_name == "character"):
        partial = "c"
    unit = Unit.of(unit_name, tokenizer, 0, data.draw(st.integers(1, 2)))
    wanted = Wanted(tokenizer, unit, partial, None if use_all else sorted(words))
    spelt = b""
    for _ in range(4):
        fitting = np.flatnonzero(wanted.tokens(spelt)).tolist()
        assert fitting == wanted_by_looking_at_all(wanted, spelt)
        begin = [token for token in fitting if not unit.first(spelt + tokenizer.pieces[token])[1]]
        if not begin:
            break
        spelt += tokenizer.pieces[data.draw(st.sampled_from(begin))]
