"""Models opened by name and path, and what scores lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import InputError, LmscoreError, ModelError, ModelNotFoundError, OptionError
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.models.list_scorer import RecurrentScorer
from lmscore.runtime.rescoring.models.list_scoring import score_lists
from lmscore.runtime.rescoring.models.mixture import Mixture
from lmscore.runtime.rescoring.models.opening import open_scorers
from tests.models import WORDS, make_model

ARPA = "\\data\\\nngram 1=3\nngram 2=1\n\n\\1-grams:\n-1\t</s>\n-99\t<s>\t0\n-1\tcat\t0\n\n"
ARPA += "\\2-grams:\n-0.5\t<s> cat\n\n\\end\\\n"
LISTS = st.lists(
    st.lists(st.lists(st.sampled_from([*WORDS, "xyzzy"]), max_size=5).map(" ".join), max_size=4),
    max_size=3,
)


@given(LISTS, st.booleans())
def test_a_model_scores_lists_and_words_alike(
    lm: LanguageModel, lists: list[list[str]], eos: bool
) -> None:
    scorer = RecurrentScorer("lm", lm, eos=eos)
    found = list(scorer.score_lists(lists))
    for texts, together in zip(lists, found, strict=True):
        log_probs = [score.log_prob for score in together.scores]
        scores = list(scorer.score_stream(texts))
        assert [score.log_prob for score in scores] == pytest.approx(log_probs)
        for score in scores:
            assert sum(word.log_prob for word in score.words) == pytest.approx(score.log_prob)
    assert len(found) == len(lists)


def test_the_default_is_the_model_that_load_takes(
    model_path: Path, lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMSCORE_MODEL", str(model_path))
    for options in ({}, {"model": model_path}, {"lms": [str(model_path)]}):
        (scorer,) = open_scorers(**options, name="rnn", variant="fp32")
        assert scorer.name == "rnn"
        assert list(scorer.score_lists([["the cat"]])) == list(score_lists(lm, [["the cat"]]))


def test_each_model_is_a_feature(model_path: Path, bpe_model_path: Path) -> None:
    lms = [f"word={model_path}", f"sub-word.2={bpe_model_path}"]
    scorers = open_scorers(lms, method="flat", eos=False)
    assert [scorer.name for scorer in scorers] == ["word", "sub-word.2"]
    found = [next(scorer.score_lists([["the cat"]])) for scorer in scorers]
    assert found[0].scores[0].num_tokens == 2
    assert [some.tokens_read for some in found] == [some.num_tokens for some in found]


def test_one_model_may_have_a_name(model_path: Path) -> None:
    (scorer,) = open_scorers([f"rnn={model_path}"], name="other")
    assert scorer.name == "rnn"


def test_a_path_may_have_an_equals_sign(tmp_path: Path) -> None:
    make_model(tmp_path / "size=16", variants=["fp32"])
    (scorer,) = open_scorers([str(tmp_path / "size=16")])
    assert scorer.name == "lm"


def test_what_unknown_words_cost(model_path: Path, tmp_path: Path) -> None:
    (tmp_path / "a.arpa").write_text(ARPA)
    lms = [f"rnn={model_path}", f"ngram={tmp_path / 'a.arpa'}"]
    (score,) = next(open_scorers(lms, unk_penalty=7)[1].score_lists([["zebra"]])).scores
    assert score.oov_log_prob == pytest.approx(-7)
    with pytest.raises(OptionError, match="no model is one"):
        open_scorers(lms[:1], unk_penalty=7)
    with pytest.raises(OptionError, match="this one has a probability for unknown words"):
        open_scorers(model=model_path, unk_penalty=7)


def test_forward_and_backward_together(model_path: Path, tmp_path: Path) -> None:
    make_model(tmp_path / "back", direction="backward", variants=["fp32"])
    forward, backward = open_scorers([f"f={model_path}", f"b={tmp_path / 'back'}"], variant="fp32")
    (ahead,), (behind,) = (next(s.score_lists([["cat the"]])).scores for s in (forward, backward))
    assert isinstance(backward, RecurrentScorer)
    assert behind.log_prob == pytest.approx(backward.lm.score("cat the").log_prob)
    assert ahead.log_prob != pytest.approx(behind.log_prob)


def test_an_ngram_model_is_told_by_its_content(model_path: Path, tmp_path: Path) -> None:
    pytest.importorskip("kenlm")
    (tmp_path / "grams").write_text(ARPA)
    rnn, ngram = open_scorers([f"rnn={model_path}", f"ngram={tmp_path / 'grams'}"], eos=False)
    assert (rnn.name, ngram.name) == ("rnn", "ngram")
    ((score,),) = (some.scores for some in ngram.score_lists([["cat"]]))
    assert score.num_tokens == 1
    assert score.log_prob == pytest.approx(-0.5 * 2.302585)


def test_a_mixture_with_given_weights(model_path: Path, bpe_model_path: Path) -> None:
    lms = [f"word={model_path}", f"bpe={bpe_model_path}"]
    (scorer,) = open_scorers(lms, mix="linear", weights=[0.75, 0.25], name="both")
    assert isinstance(scorer, Mixture)
    assert (scorer.name, scorer.weights, scorer.fit) == ("both", (0.75, 0.25), None)
    assert [model.name for model in scorer.models] == ["word", "bpe"]


def test_a_mixture_with_fitted_weights(model_path: Path, bpe_model_path: Path) -> None:
    lms = [f"word={model_path}", f"bpe={bpe_model_path}"]
    (scorer,) = open_scorers(lms, mix="linear", texts=iter(["the cat sat", "a dog"]))
    assert isinstance(scorer, Mixture)
    assert scorer.fit is not None
    assert scorer.fit.num_words == 7
    assert scorer.weights == scorer.fit.weights


def test_an_error_says_which_hypothesis(model_path: Path) -> None:
    lms = [f"a={model_path}", f"b={model_path}"]
    (mixture,) = open_scorers(lms, mix="linear", weights=[0.5, 0.5])
    with pytest.raises(InputError) as caught:
        list(mixture.score_lists([["cat", "dog"], ["cat", "the \ud800"]]))
    assert str(caught.value).startswith("list 2, hypothesis 2: lone surrogate at character 5")


TWO = ["a=x", "b=y"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lms": ["a=x"], "model": "y"}, "give the model either by `model` or by `lms`"),
        ({"lms": ["a=x", "y"]}, "`lms`, y: each of several models needs a name: NAME=PATH"),
        ({"lms": ["a=x", "a=y"]}, "`lms`, a=y: there is another model of the name 'a'"),
        ({"weights": [1]}, "`weights` and `texts` are for mix='linear'"),
        ({"texts": []}, "`weights` and `texts` are for mix='linear'"),
        ({"lms": TWO, "mix": "cubic"}, "mix must be 'linear', not 'cubic'"),
        (
            {"lms": ["a=x"], "mix": "linear"},
            "`mix` needs several models: NAME=PATH for each in `lms`",
        ),
        (
            {"lms": TWO, "mix": "linear"},
            "`mix` needs `weights`, or `texts` to fit them to",
        ),
        (
            {"lms": TWO, "mix": "linear", "weights": [1, 0], "texts": []},
            "`mix` needs `weights`, or `texts` to fit them to",
        ),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        open_scorers(**options)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("none", ModelNotFoundError, "none: no such model directory or file"),
        ("text", ModelError, "text: neither a model directory nor an n-gram model"),
    ],
)
def test_what_is_no_model(
    tmp_path: Path, name: str, error: type[LmscoreError], message: str
) -> None:
    (tmp_path / "text").write_text("the cat\n")
    with pytest.raises(error, match=message):
        open_scorers([f"a={tmp_path / name}"])


def test_a_path_that_is_empty() -> None:
    with pytest.raises(ModelNotFoundError, match="name is empty"):
        open_scorers(["a="])
