"""A lattice as a distribution over texts, for posterior probabilities."""

from __future__ import annotations

from collections.abc import Callable

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.lattices.lattice import MARKS, Lattice, Scales
from lmscore.runtime.rescoring.lattices.paths import LatticePath, n_best
from lmscore.runtime.rescoring.lattices.search_options import as_it_is
from lmscore.runtime.rescoring.posteriors import (
    ConfusionNetwork,
    WordGraph,
    confusion_network,
    least_risk,
)

_THRESHOLD = 1e-4  # arcs below this posterior are left out; they change a risk by about 2 %
_CANDIDATES = 100


def word_graph(
    lattice: Lattice,
    scales: Scales | None = None,
    *,
    posterior_scale: float | None = None,
    spoken: Callable[[str], str] = as_it_is,
) -> WordGraph:
    """The paths of a lattice, each with a probability proportional to exp(total / scale).

    Args:
        lattice: a lattice; an empty one has one path, without words.
        scales: what scores count in the total; by default the lattice's.
        posterior_scale: by default the scale of the language model in `scales`, so that its
            scores count as they are and the acoustic ones, which are too sharp, count less.
        spoken: a function from a word to the word that is compared; "" for nothing.

    Raises:
        InputError: there is no path of a probability above 0.
        OptionError: the scale is not above 0.
    """
    scales = scales or lattice.scales
    divisor = scales.lm if posterior_scale is None else posterior_scale
    if not divisor > 0:
        raise OptionError(f"posterior_scale must be above 0, not {divisor}")
    if not lattice.nodes:
        return WordGraph.of_texts([()], [0.0])
    numbers = _numbers(lattice)
    last = len(numbers)
    rows = [
        (
            numbers[arc.start],
            numbers[arc.end],
            "" if arc.word in MARKS else spoken(arc.word),
            scales.total(arc.scores, arc.num_words) / divisor,
        )
        for arc in lattice.arcs
        if arc.start in numbers
    ]
    ends = lattice.finals.items()
    rows += [(numbers[n], last, "", scales.total(end) / divisor) for n, end in ends if n in numbers]
    try:
        return WordGraph.of_arcs(last + 1, rows)
    except InputError as error:
        raise InputError(f"{lattice.name}: {error}") from error


def least_risk_path(
    lattice: Lattice, *, posterior_scale: float | None = None, candidates: int = _CANDIDATES
) -> LatticePath:
    """The path whose text has the fewest expected word edits, among those of the best texts.

    The expectation is over all paths of the lattice, as `word_graph` weighs them, without arcs
    whose posterior probability is below 1e-4. Raises what `word_graph` raises.
    """
    graph = word_graph(lattice, posterior_scale=posterior_scale).pruned(_THRESHOLD)
    paths = n_best(lattice, candidates)
    return paths[least_risk(graph, [path.words for path in paths])[1]]


def word_confidences(
    lattice: Lattice, path: LatticePath, *, posterior_scale: float | None = None
) -> list[float]:
    """For each word of a path, the posterior probability that it was said there.

    All paths are aligned with this one by the fewest word edits, as in `confusion_network`. Raises
    what `word_graph` raises.
    """
    return best_network(lattice, path, posterior_scale=posterior_scale).confidences


def best_network(
    lattice: Lattice, path: LatticePath, *, posterior_scale: float | None = None
) -> ConfusionNetwork:
    """The confusion network of a lattice along a path; raises what `word_graph` raises."""
    graph = word_graph(lattice, posterior_scale=posterior_scale).pruned(_THRESHOLD)
    return confusion_network(graph, path.words)


def _numbers(lattice: Lattice) -> dict[int, int]:
    """The nodes that can be reached from the start, numbered in topological order."""
    reached = {lattice.start}
    numbers: dict[int, int] = {}
    for node in lattice.order:
        if node in reached:
            numbers[node] = len(numbers)
            reached.update(arc.end for arc in lattice.leaving[node])
    return numbers
