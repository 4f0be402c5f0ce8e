"""What the tokens of texts add up to, all texts at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmscore.runtime.engine import Tensor
from lmscore.runtime.scoring.score import Score
from lmscore.runtime.text.tokenizer import Ids


def sum_scores(
    texts: Sequence[str], owners: Ids, log_probs: Tensor, oov: NDArray[np.bool_]
) -> list[Score]:
    """The scores of R texts, `Score.tokens` and `Score.words` left empty.

    Args:
        texts: R.
        owners: int64 [n], the number of the text that each scored token belongs to.
        log_probs: float32 [n], nats.
        oov: bool [n], whether the token is <unk>.
    """
    R, unknown = len(texts), owners[oov]
    columns = zip(
        texts,
        _sums(owners, log_probs, R),
        np.bincount(owners, minlength=R).tolist(),
        (len(text.split()) for text in texts),
        np.bincount(unknown, minlength=R).tolist(),
        _sums(unknown, log_probs[oov], R),
        strict=True,
    )
    return [Score(*column) for column in columns]


def _sums(owners: Ids, values: Tensor, R: int) -> Any:
    # Of nothing at all NumPy gives whole numbers.
    return np.bincount(owners, values, R).astype(np.float64).tolist()
