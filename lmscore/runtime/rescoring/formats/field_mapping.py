"""Where the parts of a list are in somebody's JSON, as the user says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from lmscore.errors import OptionError
from lmscore.runtime.rescoring.formats.field_paths import FieldPath

FILE_NAME = "@file"
"""In the place of a path to ids: the name of the file, without folders and suffixes."""

_PARTS = ("list", "text", "score", "id", "ref")


@dataclass(frozen=True)
class FieldMapping:
    """The paths to the parts of a list.

    Attributes:
        lists: from the top to the arrays of hypotheses.
        text: from a hypothesis to its text; several pieces are joined by blanks.
        scores: by the name of the feature, from a hypothesis to the score, or from a value around
            the list to an array of scores, one for each hypothesis.
        key: from a value around the list to its id; None: lists are counted from 0; or
            `FILE_NAME`.
        reference: from a value around the list to its reference.
    """

    lists: FieldPath
    text: FieldPath
    scores: dict[str, FieldPath]
    key: FieldPath | str | None = None
    reference: FieldPath | None = None

    @classmethod
    def parsed(cls, text: str) -> FieldMapping:
        """The mapping that a text spells, `list=PATH text=PATH score=PATH id=PATH ref=PATH`.

        Only `list` is needed: a hypothesis is a text then. `score` may be given several times.

        Raises:
            OptionError: another part, one that is there twice, or no path.
        """
        paths: dict[str, list[str]] = {part: [] for part in _PARTS}
        for assignment in text.split():
            part, sign, path = assignment.partition("=")
            if not sign or part not in paths:
                raise OptionError(
                    f"{assignment!r} in a mapping: expected PART=PATH, a part of "
                    f"{', '.join(_PARTS)}"
                )
            paths[part].append(path)
        for part, given in paths.items():
            if part != "score" and len(given) > 1:
                raise OptionError(f"{part!r} is there twice in the mapping {text!r}")
        if not paths["list"]:
            raise OptionError(f"no list=PATH in the mapping {text!r}")
        one = {part: FieldPath.parsed(given[0]) for part, given in paths.items() if given}
        key = FILE_NAME if paths["id"] == [FILE_NAME] else one.get("id")
        scores = _named([FieldPath.parsed(path) for path in paths["score"]])
        content = one.get("text", FieldPath(".", ()))
        return cls(one["list"], content, scores, key, one.get("ref"))

    @property
    def depth(self) -> int:
        """How deep arrays and objects have to be opened."""
        inner = [self.text, *self.scores.values()]
        outer = [path for path in (self.key, self.reference) if isinstance(path, FieldPath)]
        longest = max(len(path.steps) for path in [*inner, *outer])
        return len(self.lists.steps) + 2 + longest


def _named(paths: list[FieldPath]) -> dict[str, FieldPath]:
    """The paths of scores by the last key in each; `score`, `score2` where there is none."""
    named: dict[str, FieldPath] = {}
    counts: Counter[str] = Counter()
    for path in paths:
        name = path.name or "score"
        counts[name] += 1
        named[name if counts[name] == 1 else f"{name}{counts[name]}"] = path
    return named
