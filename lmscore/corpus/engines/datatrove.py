"""datatrove: a filter whose documents keep their scores as metadata (extra `datatrove`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lmscore.corpus import TextScorer
from lmscore.errors import needs_extra

with needs_extra("datatrove"):
    from datatrove.data import Document
    from datatrove.pipeline.filters.base_filter import BaseFilter

_ROW = "lmscore_row"


class LmscoreFilter(BaseFilter):  # type: ignore[misc]
    """Keeps the documents whose perplexity a `Selection` keeps, and adds their figures.

    The figures that the scorer adds are keys of each document's metadata, also of those that go to
    the exclusion writer. The model is loaded by the first batch of each worker.
    """

    name = "lmscore"

    def __init__(
        self,
        scorer: TextScorer,
        exclusion_writer: Any = None,
        batch_size: int = 1000,
    ) -> None:
        """Make a filter.

        Args:
            scorer: how documents are scored, and with `selection` which are kept.
            exclusion_writer: a writer of datatrove's for the others.
            batch_size: documents that are scored at once.
        """
        super().__init__(exclusion_writer, batch_size=batch_size)
        self.scorer = scorer

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        """Score one document."""
        (found,) = self.filter_batch([doc])
        return found

    def filter_batch(self, batch: Sequence[Document]) -> list[bool | tuple[bool, str]]:
        """Score documents; each is kept, or is not with the reason "perplexity"."""
        kept = self.scorer.annotate([doc.text for doc in batch])
        for doc, (figures, _) in zip(batch, kept, strict=True):
            doc.metadata.update(figures)
        return [True if is_kept else (False, "perplexity") for _, is_kept in kept]
