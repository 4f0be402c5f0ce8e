"""`--html`: the option, and the file that a report goes into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmscore.cli import streams
from lmscore.cli.outfile import check_not_read, same_file
from lmscore.cli.usage import UsageError
from lmscore.files import atomic_write_bytes

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

Html = Annotated[
    Path | None,
    typer.Option(
        "--html",
        metavar="FILE",
        help="Write a page to look at, too: one file, which a browser opens without a network.",
        rich_help_panel="Output",
    ),
]


def check_html(
    path: Path | None,
    inputs: Sequence[str],
    output: Path | str | None = None,
    *,
    apart: Mapping[str, object] | None = None,
) -> None:
    """Raise UsageError or OptionError, before the work begins, if a page cannot be written.

    Args:
        path: of the page, if one is wanted.
        inputs: the files that are read.
        output: the file that the data are written to.
        apart: options that leave no page, and what is given for them.
    """
    if path is None:
        return
    for option in (name for name, given in (apart or {}).items() if given):
        raise UsageError(f"--html does not go with {option}")
    if path == Path("-"):
        raise UsageError("--html needs a file; standard output has the data")
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"--html {path}: name a file in a folder that is there")
    if output is not None and same_file(path, str(output)):
        raise UsageError("--html and --output must be two files")
    check_not_read(path, inputs)


def write_page(path: Path, title: str, body: Sequence[Element], *, words: bool = False) -> None:
    """Write a page whole or not at all; raises OutputFileError.

    `words`: the page has words of `WordTexts`, which tell more about themselves.
    """
    from lmscore.pages import report_page

    # Names of files that are no UTF-8 have lone surrogates.
    page = report_page(title, body, words=words).encode(errors="backslashreplace")
    atomic_write_bytes(path, page)
    streams.note(f"{path}: a page to look at ({len(page) / 1000:.0f} kB)")
