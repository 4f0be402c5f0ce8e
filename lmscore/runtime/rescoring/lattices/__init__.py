"""Lattices of other recognisers: reading, rescoring, searching, and writing them."""

from lmscore.runtime.rescoring.lattices.expansion import RescoredLattice, rescore_lattice
from lmscore.runtime.rescoring.lattices.format import LatticeFormat
from lmscore.runtime.rescoring.lattices.format_table import (
    FORMATS,
    detect,
    format_named,
    known_formats,
)
from lmscore.runtime.rescoring.lattices.lattice import Arc, Lattice, Scales, Scores
from lmscore.runtime.rescoring.lattices.lattice_reading import open_lattices, read_lattices
from lmscore.runtime.rescoring.lattices.lattice_writing import (
    LatticeWriter,
    WrittenLattice,
    render_lattices,
    write_lattices,
)
from lmscore.runtime.rescoring.lattices.paths import LatticePath, all_paths, n_best
from lmscore.runtime.rescoring.lattices.probabilities import (
    best_network,
    least_risk_path,
    word_confidences,
    word_graph,
)
from lmscore.runtime.rescoring.lattices.search_options import LatticeOptions
from lmscore.runtime.rescoring.lattices.tuning_lists import (
    ACOUSTIC,
    OLD_LM,
    LatticeLists,
    first_options,
    weighted_options,
)

__all__ = [
    "ACOUSTIC",
    "FORMATS",
    "OLD_LM",
    "Arc",
    "Lattice",
    "LatticeFormat",
    "LatticeLists",
    "LatticeOptions",
    "LatticePath",
    "LatticeWriter",
    "RescoredLattice",
    "Scales",
    "Scores",
    "WrittenLattice",
    "all_paths",
    "best_network",
    "detect",
    "first_options",
    "format_named",
    "known_formats",
    "least_risk_path",
    "n_best",
    "open_lattices",
    "read_lattices",
    "render_lattices",
    "rescore_lattice",
    "weighted_options",
    "word_confidences",
    "word_graph",
    "write_lattices",
]
