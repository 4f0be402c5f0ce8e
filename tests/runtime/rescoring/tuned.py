"""Lists to tune on, of random numbers or drawn by hypothesis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from lmscore.names import MetricName
from lmscore.runtime.rescoring.lists.metrics import METRICS
from lmscore.runtime.rescoring.lists.nbest import Hypothesis, NBestList
from lmscore.runtime.rescoring.tuning.candidates import Candidates


def make_list(key: str, reference: str | None, *rows: tuple[str, dict[str, float]]) -> NBestList:
    return NBestList(key, tuple(Hypothesis(text, values) for text, values in rows), reference)


def make_candidates(
    lists: Sequence[Sequence[Sequence[float]]],
    errors: Sequence[Sequence[int]],
    metric: MetricName = "wer",
) -> Candidates:
    """Hypotheses of given terms, and of given numbers of substitutions in 10 words."""
    lengths = np.array([len(rows) for rows in lists])
    terms = np.array([row for rows in lists for row in rows], np.float64)
    counts = np.array([[count, 0, 0, 10] for some in errors for count in some], np.int64)
    names = tuple(f"f{i}" for i in range(terms.shape[1]))
    return Candidates(names, terms, counts, np.cumsum(lengths) - lengths, METRICS[metric])


# Small whole numbers make ties and parallel lines; sums of eighths are exact, as are ties of them.
_value = st.one_of(st.integers(-3, 3).map(float), st.integers(-40, 40).map(lambda x: x / 8))


@st.composite
def drawn_candidates(draw: st.DrawFn, num_terms: int = 2) -> Candidates:
    lengths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=6))
    row = st.tuples(*[_value] * num_terms)
    lists = [draw(st.lists(row, min_size=n, max_size=n)) for n in lengths]
    errors = [draw(st.lists(st.integers(0, 10), min_size=n, max_size=n)) for n in lengths]
    return make_candidates(lists, errors)


def random_candidates(num_lists: int, num_terms: int, seed: int = 0) -> Candidates:
    """Of which all terms tell a part of the truth."""
    random = np.random.default_rng(seed)
    errors = random.integers(0, 10, (num_lists, 6))
    weights = random.uniform(0.2, 2, num_terms)
    terms = -errors[..., None] * weights + 6 * weights * random.normal(
        size=(num_lists, 6, num_terms)
    )
    return make_candidates(terms.tolist(), errors.tolist())
