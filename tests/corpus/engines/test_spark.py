"""Spark's function for `mapInArrow`, given what Spark gives it."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from lmscore.corpus import TextScorer
from lmscore.corpus.engines.spark import map_in_arrow


def test_batches_of_a_partition(model_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    batches = pa.table({"text": ["the cat", "zebra", "so long"]}).to_batches(max_chunksize=2)
    scorer = pickle.loads(pickle.dumps(TextScorer(model_path, columns=["log_prob"])))
    found = list(map_in_arrow(scorer)(iter(batches)))
    assert [batch.num_rows for batch in found] == [2, 1]
    assert all(isinstance(batch, pa.RecordBatch) for batch in found)
    together = TextScorer(model_path)({"text": ["the cat", "zebra", "so long"]})["log_prob"]
    values = [value for batch in found for value in batch.column("log_prob").to_pylist()]
    assert values == pytest.approx(together.tolist(), abs=1e-3)
