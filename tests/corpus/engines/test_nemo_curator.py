"""A stage of NeMo Curator, run as its executors run it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from lmscore.corpus import Selection, TextScorer

pytest.importorskip("nemo_curator")

TEXTS = ["the cat sat", "zebra zoo", "so long and bye bye"]

pytestmark = pytest.mark.filterwarnings("ignore")  # NeMo Curator's own


@pytest.mark.parametrize("kind", ["pandas", "pyarrow"])
def test_a_stage(model_path: Path, kind: str) -> None:
    import pandas as pd
    import pyarrow as pa
    from nemo_curator.tasks import DocumentBatch

    from lmscore.corpus.engines.nemo_curator import LmscoreStage

    frame: Any = pd.DataFrame({"text": TEXTS, "n": [1, 2, 3]})
    data = frame if kind == "pandas" else pa.Table.from_pandas(frame)
    alone = TextScorer(model_path)({"text": TEXTS})["perplexity_per_word"]
    selection = Selection(highest=sorted(alone)[1])
    scorer = TextScorer(model_path, selection=selection, columns=["perplexity_per_word"])
    stage = pickle.loads(pickle.dumps(LmscoreStage(scorer)))
    batch = DocumentBatch(dataset_name="d", data=data)
    assert stage.inputs() == (["data"], ["text"])
    assert stage.outputs() == (["data"], ["text", "perplexity_per_word"])
    stage.setup()
    found = stage.process(batch)
    assert isinstance(found.data, type(data))
    rows = found.to_pandas()
    kept = [n for n in range(3) if alone[n] <= selection.highest]
    assert list(rows["text"]) == [TEXTS[n] for n in kept]
    assert list(rows["perplexity_per_word"]) == pytest.approx([alone[n] for n in kept], rel=1e-5)
    nothing = LmscoreStage(TextScorer(model_path, selection=Selection(highest=0)))
    assert nothing.process(batch) is None
