"""The drop-in, against `LanguageModel`, itself, and the package that it stands in for."""

from __future__ import annotations

import copy
import inspect
import math
import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmscore.errors import InputError, ModelNotFoundError, OptionError
from lmscore.runtime.adapters import kenlm
from lmscore.runtime.model import LanguageModel
from tests.models import WORDS

LN10 = math.log(10)
SENTENCES = st.lists(
    st.sampled_from([*WORDS[:9], "zebra", "it's", "the\u00a0cat", "zebra\x1fzebra"]),
    max_size=6,
).map(" ".join)

ARPA = """\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-1.0\t<unk>\t0
0\t<s>\t-0.3
-0.9\t</s>\t0
-0.7\tthe\t-0.2
-0.8\tcat\t-0.1

\\2-grams:
-0.2\t<s> the
-0.3\tthe cat
-0.4\tcat </s>

\\end\\
"""


@pytest.fixture
def model(bpe_lm: LanguageModel) -> kenlm.Model:
    return kenlm.Model.of(bpe_lm)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(sentence=SENTENCES, bos=st.booleans(), eos=st.booleans())
def test_a_score_is_the_sum_of_its_words(
    any_lm: LanguageModel, sentence: str, bos: bool, eos: bool
) -> None:
    model = kenlm.Model.of(any_lm)
    score = model.score(sentence, bos=bos, eos=eos)
    full = list(model.full_scores(sentence, bos=bos, eos=eos))
    words = sentence.split(" ") if sentence else []
    assert len(full) == len(words) + eos
    assert math.fsum(log_prob for log_prob, _, _ in full) == pytest.approx(score, abs=1e-4)

    state = kenlm.State()
    (model.BeginSentenceWrite if bos else model.NullContextWrite)(state)
    steps = []
    for word in [*words, *["</s>"] * eos]:
        following = kenlm.State()
        steps.append(model.BaseFullScore(state, word, following))
        assert model.BaseScore(state, word, following) == steps[-1].log_prob
        state = following
    for step, (log_prob, length, oov) in zip(steps, full, strict=True):
        assert step.log_prob == pytest.approx(log_prob, abs=1e-4)
        assert (step.ngram_length, step.oov) == (length, oov)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(sentence=SENTENCES)
def test_a_score_is_that_of_the_model(any_lm: LanguageModel, sentence: str) -> None:
    model = kenlm.Model.of(any_lm)
    log_prob = any_lm.score(sentence, context="sentence").log_prob
    assert model.score(f"  {sentence} \n") == pytest.approx(log_prob / LN10)
    expected = 10 ** (-log_prob / LN10 / (len(sentence.encode().split()) + 1))
    assert model.perplexity(sentence) == pytest.approx(expected)


def test_without_the_end_the_last_word_is_over(model: kenlm.Model, bpe_lm: LanguageModel) -> None:
    assert model.score("the", eos=False) < bpe_lm.score("the", eos=False).log_prob / LN10
    completed = model.scorer.lm.score("the", words=True).words[0].log_prob
    assert model.score("the", eos=False) == pytest.approx(completed / LN10)


def test_states_are_values(model: kenlm.Model) -> None:
    null, begin, the, again = (kenlm.State() for _ in range(4))
    model.BeginSentenceWrite(begin)
    assert null != begin
    model.BaseScore(begin, "the", the)
    model.BaseScore(begin, "the", again)
    assert the == again
    assert hash(the) == hash(again)
    assert the != begin
    assert sorted([the, begin, null])[0] == null
    assert (the < begin) != (the > begin)
    assert the <= again <= the
    assert the >= again
    copied, deep = copy.copy(the), copy.deepcopy(the)
    model.NullContextWrite(the)
    assert copied == deep == again
    assert the == null
    assert the != "the"


def test_a_state_may_be_written_over(model: kenlm.Model) -> None:
    state, following = kenlm.State(), kenlm.State()
    model.BeginSentenceWrite(state)
    apart = [model.BaseScore(state, "the", following), model.BaseScore(following, "cat", following)]
    assert [model.BaseScore(state, word, state) for word in ("the", "cat")] == apart
    assert state == following


def test_the_cache_hits(model: kenlm.Model) -> None:
    state, following = kenlm.State(), kenlm.State()
    model.BeginSentenceWrite(state)
    scores = [model.BaseScore(state, "thanks", following) for _ in range(5)]
    assert len(set(scores)) == 1
    assert (model.scorer.steps.hits, model.scorer.steps.misses) == (4, 1)


def test_in(lm: LanguageModel, model: kenlm.Model) -> None:
    words = kenlm.Model.of(lm)
    assert "cat" in words
    assert b"cat" in words
    assert "</s>" in words
    assert "zebra" not in words
    assert "<unk>" not in words
    assert "zebra" in model


def test_bytes(model: kenlm.Model) -> None:
    assert model.score("naïve".encode()) == model.score("naïve")
    with pytest.raises(InputError, match=r"not UTF-8: byte 3 of b'na\\xefve'"):
        model.score("naïve".encode("latin-1"))


def test_what_is_no_text(model: kenlm.Model) -> None:
    with pytest.raises(InputError, match="expected a string, got int"):
        model.score(3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="'the cat' is not one word"):
        model.BaseScore(kenlm.State(), "the cat", kenlm.State())


def test_loading(model_path: Path, backward_lm: LanguageModel) -> None:
    for path in (model_path, str(model_path), str(model_path).encode()):
        model = kenlm.Model(path, variant="fp32")
        assert model.path == str(model_path).encode()
    assert repr(model) == "<Model from model>"
    again = pickle.loads(pickle.dumps(model))
    assert again.score("the cat sat") == model.score("the cat sat")
    with pytest.raises(ModelNotFoundError):
        kenlm.Model(model_path / "nothing")
    with pytest.raises(OptionError, match="a backward model"):
        kenlm.Model.of(backward_lm)


def test_the_bundled_model() -> None:
    model = kenlm.LanguageModel()
    assert model.score("this is their house") > model.score("this is there house")


def test_it_has_what_the_package_has(tmp_path: Path, lm: LanguageModel) -> None:
    package = pytest.importorskip("kenlm")
    (tmp_path / "tiny.arpa").write_text(ARPA)
    theirs, ours = package.Model(str(tmp_path / "tiny.arpa")), kenlm.Model.of(lm)
    public = {name for name in dir(theirs) if not name.startswith("_")}
    assert public <= set(dir(ours))
    assert {name for name in dir(package.FullScoreReturn) if name[0] != "_"} <= set(
        dir(kenlm.FullScoreReturn)
    )
    for name in ("score", "full_scores"):
        assert list(inspect.signature(getattr(ours, name)).parameters) == ["sentence", "bos", "eos"]
    for bos in (True, False):
        for eos in (True, False):
            for sentence in ("", "the cat", "the zebra the"):
                one = [list(m.full_scores(sentence, bos, eos)) for m in (theirs, ours)]
                assert [len(scores) for scores in one] == [len(sentence.encode().split()) + eos] * 2
                assert [oov for _, _, oov in one[0]] == [oov for _, _, oov in one[1]]
    for word in ("the", "zebra", "<unk>", "<s>", "</s>"):
        assert (word in theirs) == (word in ours)
    assert type(theirs.path) is type(ours.path)


def test_code_written_for_the_package(tmp_path: Path, lm: LanguageModel) -> None:
    """The same lines work with both."""
    package = pytest.importorskip("kenlm")
    (tmp_path / "tiny.arpa").write_text(ARPA)
    for module, model in (
        (package, package.Model(str(tmp_path / "tiny.arpa"))),
        (kenlm, kenlm.Model.of(lm)),
    ):
        state, following = module.State(), module.State()
        model.BeginSentenceWrite(state)
        total = 0.0
        for word in ["the", "cat", "</s>"]:
            total += model.BaseScore(state, word, following)
            state, following = following, state
        assert total == pytest.approx(model.score("the cat"), abs=1e-4)
        assert model.perplexity("the cat") == pytest.approx(10 ** (-total / 3), rel=1e-3)
        assert model.order >= 2


def test_the_settings_of_the_package(lm: LanguageModel) -> None:
    config = kenlm.Config()
    config.load_method = kenlm.LoadMethod.LAZY
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    model = kenlm.LanguageModel(lm.path, config)
    assert model.score("the cat") == pytest.approx(kenlm.Model(lm.path).score("the cat"))
    with pytest.raises(InputError, match="expected a Config of this module, got int"):
        kenlm.Model(lm.path, 3)  # type: ignore[arg-type]
    package = pytest.importorskip("kenlm")
    for name in ("Config", "LoadMethod", "ARPALoadComplain"):
        ours, theirs = getattr(kenlm, name)(), getattr(package, name)()
        public = [member for member in dir(theirs) if not member.startswith("_")]
        assert public
        assert {n: getattr(ours, n) for n in public} == {n: getattr(theirs, n) for n in public}
    with pytest.raises(InputError, match=r"expected a Config of this module, got kenlm\.Config"):
        kenlm.Model(lm.path, package.Config())


def test_states_of_another_module(lm: LanguageModel) -> None:
    model = kenlm.Model.of(lm)
    ours = kenlm.State()
    package = pytest.importorskip("kenlm")
    message = (
        r"^expected a State of lmscore\.runtime\.adapters\.kenlm, got kenlm\.State: import the "
        r"module from there everywhere"
    )
    for call in (
        model.BeginSentenceWrite,
        model.NullContextWrite,
        lambda state: model.BaseScore(state, "the", ours),
        lambda state: model.BaseFullScore(ours, "the", state),
    ):
        with pytest.raises(InputError, match=message):
            call(package.State())
    assert ours.history is None
    model.BeginSentenceWrite(ours)
    assert ours.history == model.scorer.begin()


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("eos", [True, False])
def test_a_list_has_the_scores_of_its_sentences(model: kenlm.Model, bos: bool, eos: bool) -> None:
    sentences: list[str | bytes] = ["thanks for  all", b"so long", "", "the fish zebra"]
    scores = model.scores(sentences, bos, eos)
    assert scores == pytest.approx([model.score(one, bos, eos) for one in sentences], abs=1e-5)
    for words, sentence in zip(
        model.full_scores_batch(sentences, bos, eos), sentences, strict=True
    ):
        alone = list(model.full_scores(sentence, bos, eos))
        assert [word[1:] for word in words] == [word[1:] for word in alone]
        assert [word[0] for word in words] == pytest.approx([word[0] for word in alone], abs=1e-5)


def test_one_sentence_is_no_list(model: kenlm.Model) -> None:
    for several in (model.scores, model.full_scores_batch):
        with pytest.raises(InputError, match="expected a list of sentences, got str; use score"):
            several("thanks")
    with pytest.raises(InputError, match="expected a string, got int"):
        model.scores(["thanks", 3])  # type: ignore[list-item]
