"""`lmscore lattice`: lattices with the scores of a language model in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmscore.cli import options, streams
from lmscore.cli.outfile import check_new, same_file, write_texts
from lmscore.cli.report_files import Html, check_html
from lmscore.cli.rescoring.lattice_page import LatticePage
from lmscore.cli.rescoring.lattice_run import LatticeRun
from lmscore.cli.rescoring.lattice_work import SCORES, LatticeOutput, LatticeResult, LatticeWork
from lmscore.cli.rescoring.list_input import ListOutput, check_lists_stay
from lmscore.cli.rescoring.posterior_options import PosteriorOptions
from lmscore.cli.rescoring.seen_text import SeenText
from lmscore.cli.usage import UsageError, command_line
from lmscore.errors import OptionError
from lmscore.files import names_directory

if TYPE_CHECKING:
    from lmscore.runtime.rescoring.lists import Weights


def lattice(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="Lattices, all in one format; a directory stands for its files, @FILE for the "
            "paths in it; gzip and xz are unpacked. Default: standard input (-).",
            show_default=False,
        ),
    ] = None,
    *,
    output: ListOutput = None,
    best: Annotated[
        bool, typer.Option("--best", help="Print only the best text of each lattice, a line each.")
    ] = False,
    with_ids: options.WithIds = False,
    n_best: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Write the N best texts of each, as JSON Lines lists."
        ),
    ] = None,
    posteriors: PosteriorOptions,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="All weights and scales, as `lmscore tune` finds on lattices."
        ),
    ] = None,
    lm_weight: Annotated[
        float | None,
        typer.Option(metavar="X", help="The weight of the new LM score. Default: 0.5."),
    ] = None,
    old_lm_weight: Annotated[
        float | None,
        typer.Option(metavar="X", help="That of the lattice's own. Default: 1 - LM weight."),
    ] = None,
    lodr: options.LodrModel = None,
    lodr_weight: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="The weight of its n-gram, below 0. Default: minus half of the LM weight.",
        ),
    ] = None,
    lm_scale: Annotated[
        float | None,
        typer.Option(metavar="X", help="What both together count. Default: the file's, or 1."),
    ] = None,
    acoustic_scale: Annotated[
        float | None, typer.Option(metavar="X", help="Default: the file's, or 1.")
    ] = None,
    word_penalty: Annotated[
        float | None,
        typer.Option(metavar="X", help="Nats added for every word. Default: the file's, or 0."),
    ] = None,
    order: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Take histories for one that end in the same N - 1 words; 0: never.",
        ),
    ] = 5,
    beam: Annotated[
        float,
        typer.Option(
            metavar="X",
            min=0,
            help="Drop hypotheses worse by this many nats, as the LM counts them; 0: none.",
        ),
    ] = 12.0,
    max_tokens: Annotated[
        int, typer.Option(metavar="N", min=0, help="Partial hypotheses kept at a node; 0: all.")
    ] = 20,
    feature: options.Feature = "lmscore",
    model: options.ModelOptions,
    input_format: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="The format of the lattices, of those in docs/lattices.md. Default: told from the "
            "content.",
            show_default=False,
        ),
    ] = None,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="The format to write lattices in. Default: the one they were read in.",
            show_default=False,
        ),
    ] = None,
    words: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="kaldi-lattice: words.txt, where words are numbers, read or written.",
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="Share the files out to N processes, each with its own model."
        ),
    ] = 1,
    lowercase: options.Lowercase = False,
    case: options.Case = "keep",
    remove: options.Remove = None,
    errors: options.Utf8Errors = "strict",
    html: Html = None,
    line_buffered: Annotated[
        bool,
        typer.Option(
            "--line-buffered",
            help="Answer every lattice before reading on: one whose end no line shows, when the "
            "next begins. The format is recognised by the first two lines.",
        ),
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Rescore lattices: text archives of Kaldi's, or HTK's standard lattice format, and others.

    They come back in their own format with the language model scores exchanged, unless --best or
    --n-best ask for texts. The score of a path, all scores being natural logarithms:

    acoustic scale * acoustic + word penalty * words
    + LM scale * (LM weight * new LM + old LM weight * old LM + LODR weight * n-gram of --lodr)

    The new score is that of the whole sentence, </s> included, except where --order, --beam and
    --max-tokens cut the search short.
    """
    texts = best or n_best is not None
    if best and n_best is not None:
        raise UsageError("--best prints texts and --n-best lists: give one")
    if with_ids and not best:
        raise UsageError("--with-ids goes with --best")
    _check_posteriors(posteriors, best=best)
    _check_formats(input_format, output_format, output, texts=texts, words=words)
    if n_best is not None and feature in SCORES:
        raise UsageError(f"lattices have a score {feature!r} already; choose another --feature")
    if line_buffered and jobs > 1:
        raise UsageError("--line-buffered is for one process: leave out --jobs")
    if lodr is None and lodr_weight is not None:
        raise UsageError("--lodr-weight goes with --lodr")
    seen = SeenText(lowercase=lowercase, case=case, remove=remove)
    seen.check()
    scales = {
        "lm_weight": lm_weight,
        "old_lm_weight": old_lm_weight,
        "lodr_weight": lodr_weight,
        "acoustic_scale": acoustic_scale,
        "lm_scale": lm_scale,
        "word_penalty": word_penalty,
    }
    given: dict[str, Any] = {name: scale for name, scale in scales.items() if scale is not None}
    if weights is not None and given:
        option = f"--{next(iter(given)).replace('_', '-')}"
        raise UsageError(f"--weights has all weights: leave out {option}")
    from lmscore.runtime.rescoring.lattices import (
        LatticeOptions,
        format_named,
        open_lattices,
        weighted_options,
    )
    from lmscore.runtime.rescoring.lists import read_weights

    with command_line():
        search = LatticeOptions(
            **given, order=order or None, beam=beam or None, max_tokens=max_tokens or None
        )
    if weights is not None:
        known = read_weights(weights)
        _check_lodr(known, lodr)
        search = weighted_options(search, known, feature=feature)
    paths = files or ["-"]
    # Lattices take their own place, texts would take theirs.
    check_lists_stay(output, paths, may_replace=not texts)
    check_html(html, paths, output)
    writes_numbers = output_format is not None and format_named(output_format).has_symbols
    lattice_format, lattices = open_lattices(
        paths,
        input_format,
        symbols=words,
        may_be_spelt=writes_numbers,
        errors=errors,
        line_buffered=line_buffered,
    )
    work = LatticeWork(
        model=model,
        lodr=lodr,
        search=search,
        seen=seen,
        errors=errors,
        input_format=lattice_format.name,
        symbols=words if lattice_format.has_symbols else None,
        output=LatticeOutput(
            best=best,
            with_ids=with_ids,
            posteriors=posteriors,
            n_best=n_best,
            feature=feature,
            lattice_format=output_format or lattice_format.name,
            symbols=words,
            drawn=html is not None,
        ),
    )
    run = LatticeRun(work, jobs=jobs, quiet=quiet, line_buffered=line_buffered)
    page = LatticePage(html)
    results = page.watched(run.results(lattices, paths, data_on_stdout=output is None))
    if texts:
        written = (result.written.text for result in results)
        write_texts(written, output, flushed=line_buffered)
    else:
        if output is not None and names_directory(output):
            # An archive would be replaced by one of its lattices.
            results = _in_free_places(results, output, may_replace=not lattice_format.is_archive)
        _write(results, output, work.output, flushed=line_buffered)
    page.write(run.summary())
    if not quiet:
        for line in run.summary():
            streams.note(line)


def _check_posteriors(posteriors: PosteriorOptions, *, best: bool) -> None:
    for option, is_given in {
        "--mbr": posteriors.mbr,
        "--confidence": posteriors.confidence,
    }.items():
        if is_given and not best:
            raise UsageError(f"{option} goes with --best")
    posteriors.check_scale()


def _check_lodr(weights: Weights, lodr: Path | None) -> None:
    """Raise OptionError if weights have an n-gram model that is not given."""
    from lmscore.runtime.rescoring.models import LODR

    if weights.features.get(LODR) and lodr is None:
        raise OptionError(f"the weights have {LODR!r}: give its n-gram model, --lodr FILE")


def _check_formats(
    read: str | None,
    written: str | None,
    output: str | None,
    *,
    texts: bool,
    words: Path | None,
) -> None:
    is_directory = output is not None and names_directory(output)
    if texts and is_directory:
        raise UsageError("--best and --n-best write one file: give --output a file")
    if written is not None and texts:
        raise UsageError("--format is for lattices, not for --best and --n-best")
    from lmscore.runtime.rescoring.lattices import format_named

    with command_line():
        known = {name: format_named(name) for name in (read, written) if name is not None}
    if words is not None and read is not None and not any(f.has_symbols for f in known.values()):
        raise UsageError(f"--words is for kaldi-lattice: {read} has no use for it")
    target = written or read
    if target is not None and known[target].is_archive and is_directory:
        raise UsageError(f"{target} is one file: give --output a file")


def _in_free_places(
    results: Iterable[LatticeResult], directory: str, *, may_replace: bool
) -> Iterator[LatticeResult]:
    """The results, each after a check that its file replaces no other one.

    Args:
        results: lattices; files named by ids are known no earlier than these.
        directory: where they are written.
        may_replace: whether a lattice may take the place of the file that it was read from.

    Raises:
        OptionError: a file is there already.
    """
    made: set[Path] = set()  # two lattices of one name have an error of their own
    for result in results:
        place = Path(directory, result.written.name)
        if place not in made and not (may_replace and same_file(place, result.file)):
            check_new(place)
        made.add(place)
        yield result


def _write(
    results: Iterable[LatticeResult],
    output: str | None,
    chosen: LatticeOutput,
    *,
    flushed: bool,
) -> None:
    from lmscore.runtime.rescoring.lattices import LatticeWriter

    writer = LatticeWriter(chosen.lattice_format, symbols=chosen.symbols)
    written = (result.written for result in results)
    if output is None:
        write_texts(writer.join(written), None, flushed=flushed)
    else:
        writer.write(written, output)
