"""SLF lattices whose links have posterior probabilities (`p`) alone.

The posterior probability of a path is the product of the probabilities of its links, each given the
node that it leaves, which is its share in the sum of the posteriors there. So the logarithms of
these shares are scores of links, and the paths are as probable as the recogniser found them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lmscore.errors import InputError
from lmscore.runtime.rescoring.formats import Document
from lmscore.runtime.rescoring.lattices.checks import parse_number
from lmscore.runtime.rescoring.lattices.lattice import Arc, Scores

_MOST = 1.001  # posteriors are sums, and rounded


def with_posteriors(
    document: Document, arcs: Sequence[Arc], links: Sequence[tuple[Mapping[str, str], int]]
) -> tuple[Arc, ...]:
    """Arcs with their shares (ln) as acoustic scores, if the links have posteriors and no scores.

    Args:
        document: the file, for error messages.
        arcs: an arc for each link.
        links: the fields of each link, with its line.

    Raises:
        InputError: a link has no posterior, or it is no probability; names the line.
    """
    have = ["p" in values for values, _ in links]
    scored = any({"a", "l", "r"} & values.keys() for values, _ in links)
    if scored or not any(have):
        return tuple(arcs)
    posteriors = [_posterior(values, document.where(line)) for values, line in links]
    leaving: dict[int, float] = {}
    for arc, posterior in zip(arcs, posteriors, strict=True):
        leaving[arc.start] = leaving.get(arc.start, 0.0) + posterior
    return tuple(
        replace(arc, scores=Scores(acoustic=_log_share(posterior, leaving[arc.start])))
        for arc, posterior in zip(arcs, posteriors, strict=True)
    )


def _posterior(values: Mapping[str, str], where: str) -> float:
    if "p" not in values:
        raise InputError(f"{where}: a link without a score; others have posteriors, p=")
    value = parse_number(values["p"], f"{where}, field 'p'")
    if not 0 <= value <= _MOST:
        raise InputError(
            f"{where}, field 'p': {values['p']} is no probability; a lattice without a= and l= "
            "needs the posterior probability of each link there"
        )
    return value


def _log_share(posterior: float, total: float) -> float:
    return math.log(posterior / total) if posterior else -math.inf
