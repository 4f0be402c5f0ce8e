"""What `rescore` and `tune` share: options with names in them, texts as a model sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from lmscore.cli import streams
from lmscore.cli.outfile import check_not_read
from lmscore.cli.usage import UsageError
from lmscore.files import expanded_paths, open_output, read_lines

if TYPE_CHECKING:
    from lmscore.names import SubwordMark
    from lmscore.runtime.rescoring.models.scorer import ListScorer


def assignments(option: str, values: Iterable[str]) -> dict[str, str]:
    """What an option NAME=VALUE that may be given again has been given.

    Raises:
        UsageError: a value without a name, or a name twice.
    """
    found: dict[str, str] = {}
    for given in values:
        name, sign, value = given.partition("=")
        if not (name and sign and value):
            raise UsageError(f"{option} {given!r}: expected NAME=VALUE")
        if name in found:
            raise UsageError(f"{option} {name!r} is given twice")
        found[name] = value
    return found


def mixture_weights(value: str | None) -> list[float] | None:
    """The shares in --mix-weights.

    Raises:
        UsageError: something in it is no number.
    """
    if value is None:
        return None
    return [number("--mix-weights", share) for share in value.split(",")]


def note_mixtures(scorers: Iterable[ListScorer]) -> None:
    """Say on standard error what fitting a mixture to a text has come to."""
    from lmscore.runtime.rescoring.models.mixture import Mixture

    for scorer in scorers:
        if isinstance(scorer, Mixture) and scorer.fit is not None:
            streams.note(f"{scorer.name} = {scorer}")


def number(option: str, value: str) -> float:
    """The number that an option was given.

    Raises:
        UsageError: it is none.
    """
    try:
        return float(value)
    except ValueError as error:
        raise UsageError(f"{option} {value!r}: expected a number") from error


def preparation(
    join: SubwordMark | None, remove: Sequence[str], *, lowercase: bool
) -> Callable[[str], str]:
    """What makes of the text of a hypothesis the one that a model scores.

    Raises:
        InputFileError: a file with words cannot be read.
        OptionError: a word to remove is none.
    """
    from lmscore.runtime.rescoring.lists.prepare import preparation

    return preparation(join=join, remove=set(_words(remove)), lowercase=lowercase)


def check_lists_stay(output: str | Path | None, paths: Iterable[str]) -> None:
    """Refuse to write what is no list over one that is read.

    Raises:
        OptionError: the output is one of the files that the paths stand for.
        InputFileError: a file with paths cannot be read.
    """
    # Paths that come down a pipe can be read but once, and not here.
    known = [p for p in paths if not p.startswith("@") or Path(p[1:]).is_file()]
    check_not_read(output, map(str, expanded_paths(known)))


def write_texts(texts: Iterable[str], path: str | None) -> None:
    """Write texts one behind the other, to a file or to standard output (None)."""
    with nullcontext() if path is None else open_output(path) as file:
        write: Callable[[bytes], object] = streams.write_bytes if file is None else file.write
        for text in texts:
            write(text.encode())


def _words(values: Iterable[str]) -> Iterator[str]:
    for value in values:
        if value.startswith("@") and len(value) > 1:
            for line in read_lines(value[1:]):
                yield from line.split()
        else:
            yield value
