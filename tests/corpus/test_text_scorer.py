"""TextScorer: tables and dicts with the figures of the command."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lmscore
from lmscore.corpus import Selection, TextScorer
from lmscore.errors import InputError, OptionError
from tests.models import make_model

TEXTS = ["the cat\nsat", "", "zebra", "so long\n\nand bye bye"]
NAMES = [
    "log_prob",
    "num_tokens",
    "num_words",
    "num_oov",
    "perplexity_per_token",
    "perplexity_per_word",
]


@pytest.fixture(scope="module")
def scores(model_path: Path) -> list[lmscore.Score]:
    return lmscore.load(model_path).score_batch(TEXTS, split="lines")


def test_a_dict_of_columns(model_path: Path, scores: list[lmscore.Score]) -> None:
    batch = {"text": np.array(TEXTS), "n": [1, 2, 3, 4], "num_oov": np.zeros(4)}
    found = TextScorer(model_path)(batch)
    assert list(found) == [*batch, *(n if n != "num_oov" else "lmscore_num_oov" for n in NAMES)]
    for name in NAMES:
        values = found["lmscore_num_oov" if name == "num_oov" else name]
        assert values.tolist() == [getattr(score, name) for score in scores]
    assert found["num_tokens"].dtype == np.int64
    assert found["n"] == [1, 2, 3, 4]


@pytest.mark.parametrize("batches", [False, True])
def test_arrow(model_path: Path, scores: list[lmscore.Score], batches: bool) -> None:
    pa = pytest.importorskip("pyarrow")
    table: Any = pa.table({"body": TEXTS, "n": [1, 2, 3, 4]})
    if batches:
        (table,) = table.to_batches()
    scorer = pickle.loads(pickle.dumps(TextScorer(model_path, column="body")))
    found = scorer(table)
    assert type(found) is type(table)
    assert found.schema.names == ["body", "n", *NAMES]
    for name in NAMES:
        assert found.column(name).to_pylist() == [getattr(score, name) for score in scores]
    again = pickle.loads(pickle.dumps(scorer))  # without the model, which is loaded by now
    assert len(pickle.dumps(scorer)) < 2000
    assert again(table).equals(found)


def test_rows_that_are_kept(model_path: Path, scores: list[lmscore.Score]) -> None:
    values = sorted(score.perplexity_per_word for score in scores)
    selection = Selection(highest=values[2], thirds=(values[0], values[1]))
    scorer = TextScorer(
        model_path, selection=selection, columns=["log_prob"], bucket_column="bucket"
    )
    found = scorer({"text": TEXTS, "n": np.arange(4)})
    kept = [n for n, score in enumerate(scores) if score.perplexity_per_word <= values[2]]
    assert found["n"].tolist() == kept
    assert found["text"] == [TEXTS[n] for n in kept]
    assert sorted(found["bucket"]) == ["head", "middle", "tail"]
    nothing = TextScorer(model_path, selection=Selection(highest=0))({"text": TEXTS})
    assert [len(column) for column in nothing.values()] == [0] * 7


@pytest.mark.parametrize(("on_error", "count"), [("skip", 4), ("keep", 5)])
def test_what_is_no_text(model_path: Path, on_error: Any, count: int) -> None:
    pa = pytest.importorskip("pyarrow")
    texts = [*TEXTS[:2], None, *TEXTS[2:]]
    found = TextScorer(model_path, on_error=on_error)(pa.table({"text": texts}))
    assert found.num_rows == count
    nulls = [n for n, value in enumerate(found.column("num_tokens").to_pylist()) if value is None]
    assert nulls == ([2] if on_error == "keep" else [])
    (value,) = TextScorer(model_path, on_error="keep")({"text": [None]})["num_tokens"]
    assert math.isnan(value)
    with pytest.raises(InputError, match="row 3 of a batch: column 'text' is NoneType, expected"):
        TextScorer(model_path)({"text": texts})


def test_no_perplexity_is_null(model_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    found = TextScorer(model_path, eos=False, split="none")(pa.table({"text": ["", "the"]}))
    assert found.column("perplexity_per_word").null_count == 1


def test_unknown_words_cost_more(model_path: Path, tmp_path: Path) -> None:
    speller = make_model(tmp_path / "letters", tokenizer="char", variants=("fp32",)).path
    lm, letters = lmscore.load(model_path), lmscore.load(speller)
    for given, cost in ((7.5, 7.5), (speller, letters)):
        scorer = pickle.loads(pickle.dumps(TextScorer(model_path, oov_cost=given)))
        wanted = lm.score_batch(TEXTS, split="lines", oov_cost=cost)
        found = scorer({"text": TEXTS})["log_prob"].tolist()
        assert found == [score.log_prob for score in wanted]
        assert found[2] < lm.score("zebra").log_prob


def test_words_may_be_characters(model_path: Path) -> None:
    found = TextScorer(model_path, segmentation="characters")({"text": ["the cat"]})
    assert found["num_words"].tolist() == [6]


def test_what_cannot_be(model_path: Path) -> None:
    with pytest.raises(InputError, match="no column 'text', only 'a', 'b'; name another"):
        TextScorer(model_path)({"a": [], "b": []})
    with pytest.raises(InputError, match="expected a table or a dict of columns, got list"):
        TextScorer(model_path)(["the cat"])
    with pytest.raises(OptionError, match=r"columns must be of log_prob, .*, not 'score'"):
        TextScorer(columns=["score"])
    with pytest.raises(OptionError, match="per must be one of word"):
        TextScorer(per="sentence")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="bucket_column needs a selection with thirds"):
        TextScorer(bucket_column="b")
    with pytest.raises(lmscore.LmscoreError, match="no-such-model"):
        TextScorer("no-such-model")({"text": ["a"]})
