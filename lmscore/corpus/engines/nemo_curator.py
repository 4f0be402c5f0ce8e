"""NeMo Curator: a stage that scores and filters batches of documents (extra `nemo-curator`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lmscore.corpus import TextScorer
from lmscore.errors import needs_extra

with needs_extra("nemo-curator"):
    from nemo_curator.stages.base import ProcessingStage
    from nemo_curator.stages.resources import Resources
    from nemo_curator.tasks import DocumentBatch


class LmscoreStage(ProcessingStage[DocumentBatch, DocumentBatch]):  # type: ignore[misc]
    """Adds a scorer's columns to batches of documents, and leaves out what it does not keep.

    It is a stage of its own since NeMo Curator's `DocumentFilter` is given one document at a time.
    """

    name = "lmscore"
    resources = Resources(cpus=1.0)

    def __init__(self, scorer: TextScorer) -> None:
        """Make a stage; `scorer` names the column of texts."""
        self.scorer = scorer

    def inputs(self) -> tuple[list[str], list[str]]:
        """What the stage needs of a batch."""
        return ["data"], [self.scorer.column]

    def outputs(self) -> tuple[list[str], list[str]]:
        """What the stage adds to a batch."""
        return ["data"], [self.scorer.column, *self.scorer.columns]

    def setup(self, worker_metadata: Any = None) -> None:  # noqa: ARG002
        """Load the model."""
        _ = self.scorer.lm

    def process(self, task: DocumentBatch) -> DocumentBatch | None:
        """Score one batch; None if no document of it is kept."""
        import pyarrow as pa

        table = self.scorer(task.to_pyarrow())
        if not table.num_rows:
            return None
        return replace(task, data=table if isinstance(task.data, pa.Table) else table.to_pandas())
