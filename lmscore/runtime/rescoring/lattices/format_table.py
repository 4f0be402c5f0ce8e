"""The formats of lattices; a new one needs a file that makes its `LatticeFormat`, and a row here.

Other packages add theirs by entry points of the group `lmscore.formats`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from lmscore.errors import OptionError
from lmscore.runtime.rescoring.formats import offered
from lmscore.runtime.rescoring.lattices.format import LatticeFormat
from lmscore.runtime.rescoring.lattices.kaldi_writing import KALDI
from lmscore.runtime.rescoring.lattices.mesh import MESH
from lmscore.runtime.rescoring.lattices.pfsg import PFSG
from lmscore.runtime.rescoring.lattices.slf_writing import SLF
from lmscore.runtime.rescoring.lattices.sphinx import SPHINX

FORMATS: Mapping[str, LatticeFormat] = {
    known.name: known for known in (KALDI, SLF, PFSG, MESH, SPHINX)
}
"""The formats of this package by name; docs/lattices.md has a row for each."""


@cache
def known_formats() -> Mapping[str, LatticeFormat]:
    """All formats by name, those of installed packages among them; raises OptionError."""
    return {**FORMATS, **offered(LatticeFormat, taken=FORMATS)}


def format_named(name: str) -> LatticeFormat:
    """The format of a name; raises OptionError, which lists all, if there is none."""
    known = known_formats()
    if name not in known:
        raise OptionError(f"no lattice format {name!r}; there are {', '.join(known)}")
    return known[name]


def detect(head: str) -> LatticeFormat | None:
    """The format of a file that begins with these lines, if it is one of them."""
    return next((known for known in known_formats().values() if known.recognises(head)), None)
