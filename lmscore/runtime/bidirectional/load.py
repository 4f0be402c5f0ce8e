"""Load both models of a folder that `lmscore train --direction both` wrote, as one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lmscore.bundle import HALVES, halves
from lmscore.errors import ModelNotFoundError
from lmscore.runtime.bidirectional.bidirectional_model import BidirectionalModel, bidirectional
from lmscore.runtime.load import find_model, load


def load_bidirectional(
    path: str | Path | None = None,
    *,
    device: str = "auto",
    variant: str | None = None,
    threads: int | None = None,
    trust: bool = False,
    unigram: Iterable[str] | None = None,
) -> BidirectionalModel:
    """Load the two models in a folder that `lmscore train --direction both` wrote.

    Args:
        path: the folder; what else finds a model, and the other options, as in `lmscore.load`.
        unigram: as in `lmscore.bidirectional`.

    Raises what both functions raise; ModelNotFoundError where the folder does not hold both models.
    """
    folder = find_model(path)
    found = halves(folder)
    if found is None:
        raise ModelNotFoundError(
            f"{folder}: does not hold two models, {' and '.join(HALVES)}: train with "
            "direction='both' to make them"
        )
    forward, backward = (
        load(half, device=device, variant=variant, threads=threads, trust=trust) for half in found
    )
    return bidirectional(forward, backward, unigram=unigram)
