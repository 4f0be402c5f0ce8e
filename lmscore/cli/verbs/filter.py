"""`lmscore filter`: the lines of a corpus whose perplexity lies within bounds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from lmscore.cli import options, streams
from lmscore.cli.filtering import Figured, Settings, write_chosen
from lmscore.cli.kept import Kept
from lmscore.cli.oov_costs import OovCosts
from lmscore.cli.outfile import check_not_read, check_output, open_records, same_file
from lmscore.cli.perplexity_page import PerplexityPage
from lmscore.cli.records import TextInput, note_bad_records
from lmscore.cli.rejected import rejected_records
from lmscore.cli.report_files import Html, check_html
from lmscore.cli.scored_records import PROMPT, interactive, with_progress
from lmscore.cli.selecting import Selecting
from lmscore.cli.shards import Team, filter_shards, shards_of
from lmscore.cli.usage import UsageError
from lmscore.corpus.reading import Record, format_of
from lmscore.errors import OptionError
from lmscore.files import input_name


def filter_lines(
    *,
    selecting: Selecting,
    rejected: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the records that are not printed to this file; with --output-dir, to files "
            "in this directory.",
        ),
    ] = None,
    model: options.ModelOptions,
    context: options.ContextMode = None,
    bos: options.Bos = True,
    eos: options.Eos = True,
    oov_costs: OovCosts,
    segmentation: options.Segmentation = "auto",
    text: TextInput,
    html: Html = None,
    output: options.Output = None,
    output_dir: options.OutputDir = None,
    jobs: options.Jobs = None,
    engine: options.Engine = None,
    resume: options.Resume = False,
    line_buffered: options.LineBuffered = False,
    quiet: options.Quiet = False,
) -> None:
    """Print the lines whose perplexity lies within bounds, byte for byte as they were.

    A perplexity equal to a bound lies within. A line that has none, because --no-eos leaves nothing
    to divide by, lies outside. --resume takes up the --output of a run that was interrupted behind
    its last whole line. With --output-dir each file has an output of its own, of its kind and
    packed as it is; --resume leaves out those that are there.
    """
    selecting.check()
    oov_costs.check()
    if text.on_error == "keep":
        raise UsageError("--on-error keep is for score: a record without a perplexity is not kept")
    if rejected and selecting.kept_field is not None:
        raise UsageError("--kept-field prints every record: leave --rejected out")
    settings = Settings(
        model=model,
        selecting=selecting,
        text=text,
        oov_costs=oov_costs,
        segmentation=segmentation,
        context=context,
        bos=bos,
        eos=eos,
        line_buffered=line_buffered,
    )
    if output_dir is not None:
        if output is not None:
            raise UsageError("give --output or --output-dir, not both")
        check_html(html, text.paths, apart={"--output-dir": output_dir})
        shards = shards_of(text.paths, output_dir, rejected)
        team = Team(jobs, engine)
        filter_shards(settings, shards, resume=resume, team=team, quiet=quiet)
        return
    for flag, value in {"--jobs": (jobs or 1) > 1, "--engine": engine}.items():
        if value:
            raise UsageError(f"{flag} goes with --output-dir: each process takes a file")
    files = _Files(output, rejected, html, resume)
    _check_files(files, settings)
    _filter(files, settings, quiet=quiet)


@dataclass(frozen=True)
class _Files:
    output: Path | None
    rejected: Path | None
    html: Path | None
    resume: bool


def _check_files(files: _Files, settings: Settings) -> None:
    if files.rejected == Path("-"):
        raise UsageError("--rejected needs a file; standard output has the lines kept")
    if files.rejected and files.output and same_file(files.rejected, files.output):
        raise UsageError("--output and --rejected must be two files")
    check_output(files.output, resume=files.resume)
    if files.resume and settings.selecting.added:
        raise UsageError(
            "--resume looks for the lines as they were read, without fields to add; --output-dir "
            "goes on file by file"
        )
    check_not_read(files.rejected, settings.text.paths)
    apart = {"--resume": files.resume, "--against": settings.selecting.against}
    check_html(files.html, settings.text.paths, files.output, apart=apart)


def _filter(files: _Files, settings: Settings, *, quiet: bool) -> None:
    """Filter all input into one output."""
    text = settings.text
    paths = text.paths
    whole = _is_whole(text, resume=files.resume)
    typed = interactive(paths)
    if typed and not quiet:
        streams.note(PROMPT)
    bad = text.bad_records()
    records = text.records(bad=bad)
    # In this order: the rejected lines appear once those kept are safe.
    with (
        rejected_records(files.rejected, text.reading(), bad) as reject,
        open_records(files.output, resume=files.resume, inputs=paths, whole=whole) as out,
    ):
        models = settings.load()
        selection = models.selection(quiet=quiet)
        figured = partial(models.figured, flush=out.flush)
        shown = partial(with_progress, paths=paths, data_on_stdout=files.output is None)
        earlier = Kept(out)
        if models.context == "sentence":
            rest = earlier.skip(records, reject, bar=not typed)
            pairs = shown(figured(rest), skipped=earlier.bytes)
        else:  # the state depends on all lines, so all are scored again
            pairs = shown(figured(records))
        page = PerplexityPage(files.html, settings.selecting.per)
        with settings.writer(out.write_bytes, begun=out.size > 0) as writer:
            tally = write_chosen(
                _noted(pairs, page),
                settings.selecting,
                selection,
                writer=writer,
                reject=reject,
                has=earlier.has,
            )
            earlier.check_end()
            writer.finish(bad.first)
    bounds = {"--min-ppl": selection.lowest, "--max-ppl": selection.highest}
    page.write(str(models), str(tally), {name: x for name, x in bounds.items() if x is not None})
    if not quiet:
        before = f"resumed after {earlier.count} lines: " if earlier.count else ""
        streams.note(f"{models}: {before}{tally}")
        note_bad_records(bad.count)


def _noted(
    figured: Iterable[tuple[Record, Figured]], page: PerplexityPage
) -> Iterator[tuple[Record, Figured]]:
    """The same, while their perplexities are noted for a page."""
    for record, found in figured:
        page.add(record.text, found.score)
        yield record, found


def _is_whole(text: TextInput, *, resume: bool) -> bool:
    """Whether the output has an end of its own, so that it is written whole or not at all.

    Raises:
        OptionError: the records are not lines, so --resume cannot find those that are kept.
    """
    kinds = {path: format_of(path, text.input_format) for path in text.paths}
    for path, kind in kinds.items() if resume else ():
        if kind not in ("text", "jsonl") and (kind != "tsv" or text.names_columns):
            raise OptionError(
                f"{input_name(path)}: --resume looks for whole lines, which {kind} files do not "
                "have: leave it out"
            )
    return any(kind in ("json", "parquet", "arrow") for kind in kinds.values())
