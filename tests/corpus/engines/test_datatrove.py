"""A pipeline of datatrove's own, with its reader, its writer and its executor."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

import lmscore
from lmscore.corpus import Selection, TextScorer

pytest.importorskip("datatrove")

TEXTS = ["the cat sat", "zebra zoo", "so long and bye bye", "", "the dog\nsat on the mat"] * 50

pytestmark = pytest.mark.filterwarnings("ignore")  # datatrove's own


def records(folder: Path) -> list[dict[str, Any]]:
    lines = [
        line
        for path in sorted(folder.rglob("*.jsonl.gz"))
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]
    return [json.loads(line) for line in lines]


def test_a_pipeline(model_path: Path, tmp_path: Path) -> None:
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    from lmscore.corpus.engines.datatrove import LmscoreFilter

    given = [text for text in TEXTS if text]  # datatrove's reader drops what is empty
    (tmp_path / "in").mkdir()
    lines = "".join(json.dumps({"text": text, "id": str(n)}) + "\n" for n, text in enumerate(given))
    (tmp_path / "in" / "a.jsonl").write_text(lines)
    scorer = TextScorer(
        model_path, selection=Selection(highest=60), columns=["log_prob", "perplexity_per_word"]
    )
    step = LmscoreFilter(scorer, JsonlWriter(str(tmp_path / "others")), batch_size=7)
    LocalPipelineExecutor(
        [JsonlReader(str(tmp_path / "in")), step, JsonlWriter(str(tmp_path / "out"))],
        logging_dir=str(tmp_path / "logs"),
    ).run()
    scores = lmscore.load(model_path).score_batch(given, split="lines")
    kept, others = records(tmp_path / "out"), records(tmp_path / "others")
    assert len(kept) + len(others) == len(given)
    assert [each["text"] for each in kept] == [
        score.text for score in scores if score.perplexity_per_word <= 60
    ]
    found = {each["id"]: each["metadata"] for each in kept + others}
    for number, score in enumerate(scores):
        assert found[str(number)]["log_prob"] == pytest.approx(score.log_prob, abs=1e-3)
    assert {each["metadata"]["filter_reason"] for each in others} == {"perplexity"}
