"""The n-gram model of the recogniser's own training text, beside the language model."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmscore.errors import LmscoreError, ModelError, ModelNotFoundError, OptionError
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.ngram import count_ngrams, estimate, write_arpa
from lmscore.runtime.rescoring.models import LodrScorer, open_lodr, open_scorers

TEXTS = ["the cat sat", "the dog", "a zebra"]
CLOSED = "\\data\\\nngram 1=3\n\\1-grams:\n-0.5\t</s>\n-99\t<s>\n-0.5\tcat\n\\end\\\n"


def bigram(path: Path, texts: list[str]) -> Path:
    counts = count_ngrams(map(str.split, texts), 2)
    write_arpa(estimate(counts, "absolute", discount_fallback=True), path)
    return path


def test_over_words(tmp_path: Path, lm: LanguageModel) -> None:
    lodr = open_lodr(bigram(tmp_path / "a", TEXTS), lm)
    lists = [["the cat", "a zebra"], [], ["the strange cat"]]
    found = [[s.log_prob for s in each.scores] for each in LodrScorer(lodr).score_lists(lists)]
    expected = [[lodr.ngram.score(text).log_prob for text in texts] for texts in lists]
    assert found == [pytest.approx(row) for row in expected]
    assert str(lodr) == "(2-gram of words)"


def test_over_token_ids(tmp_path: Path, bpe_lm: LanguageModel) -> None:
    """The ids are those of the language model's tokens, and one that was not seen is unknown."""
    spelt = [" ".join(map(str, bpe_lm.encode(text).tolist())) for text in TEXTS]
    lodr = open_lodr(bigram(tmp_path / "a", spelt), bpe_lm)
    assert str(lodr) == "(2-gram of token ids)"
    (found,) = LodrScorer(lodr, eos=False).score_lists([[*TEXTS, "we ran"]])
    assert [score.log_prob for score in found.scores[:3]] == pytest.approx(
        [lodr.ngram.score(text, eos=False).log_prob for text in spelt]
    )
    assert [score.num_oov for score in found.scores[:3]] == [0, 0, 0]
    assert found.scores[3].num_oov > 0


def test_the_last_scorer(tmp_path: Path, model_path: Path) -> None:
    path = bigram(tmp_path / "a", TEXTS)
    assert [scorer.name for scorer in open_scorers(lodr=path, model=model_path)] == ["lm", "lodr"]
    (tmp_path / "closed").write_text(CLOSED)
    beside = open_scorers(lodr=tmp_path / "closed", model=model_path, unk_penalty=10)[1]
    (found,) = beside.score_lists([["dog"]])
    assert found.scores[0].oov_log_prob == pytest.approx(-10)
    with pytest.raises(OptionError, match="no model is one"):
        open_scorers(lodr=path, model=model_path, unk_penalty=10)
    with pytest.raises(OptionError, match="'lodr' is the name of the feature of `lodr`"):
        open_scorers(lodr=path, model=model_path, name="lodr")


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (None, ModelNotFoundError, "no such file"),
        ("the cat", ModelError, "no ARPA file"),
        (CLOSED, OptionError, "has no <unk>, so an unknown word would cost 230 nats"),
        (
            CLOSED.replace("cat", "77777").replace("1=3", "1=4").replace("-99", "-0.5\t<unk>\n-99"),
            ModelError,
            "has the token id 77777",
        ),
    ],
)
def test_models_that_are_none(
    tmp_path: Path, lm: LanguageModel, content: str | None, error: type[LmscoreError], message: str
) -> None:
    if content is not None:
        (tmp_path / "a").write_text(content)
    with pytest.raises(error, match=message):
        open_lodr(tmp_path / "a", lm)


def test_directories_and_ids_of_nobody(tmp_path: Path, model_path: Path, lm: LanguageModel) -> None:
    with pytest.raises(ModelError, match="not a directory"):
        open_lodr(model_path, lm)
    with pytest.raises(OptionError, match="no recurrent model has such ids"):
        open_lodr(bigram(tmp_path / "a", ["5 7", "7 5"]), None)
