"""`lmscore score`: a log-probability for every line, token or word."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from lmscore import names
from lmscore.cli import options, streams
from lmscore.cli.asked_scores import AskedScores
from lmscore.cli.compat import start_report
from lmscore.cli.csv_layout import CsvLayout
from lmscore.cli.earlier import Earlier
from lmscore.cli.layout import Layout
from lmscore.cli.oov_costs import OovCosts
from lmscore.cli.outfile import check_not_read, check_output, open_records
from lmscore.cli.prefixes import Prefixes
from lmscore.cli.records import TextInput, note_bad_records
from lmscore.cli.rejected import rejected_records
from lmscore.cli.report_files import Html, check_html
from lmscore.cli.score_page import ALTERNATIVES, Totals
from lmscore.cli.scored_records import PROMPT, interactive, with_progress
from lmscore.cli.usage import UsageError
from lmscore.errors import OptionError

if TYPE_CHECKING:
    from lmscore.cli.outfile import Output
    from lmscore.corpus.reading import BadRecords, Record
    from lmscore.runtime.scoring import CompatReport, Score, Summary, TextMeasures

    Scored = Iterable[tuple[Record, Score | TextMeasures]]


def score(
    *,
    output_format: options.Scores = "tsv",
    per: Annotated[names.Per, typer.Option(help="What gets a row of its own.")] = "sentence",
    surprisal: Annotated[
        bool, typer.Option("--surprisal", help="Print bits, -log2 of the probability, not nats.")
    ] = False,
    entropy: Annotated[
        bool, typer.Option("--entropy", help="Of the distribution at each token, in nats.")
    ] = False,
    rank: Annotated[
        bool, typer.Option("--rank", help="Of each token: 1 and the number of likelier ones.")
    ] = False,
    alternatives: Annotated[
        int, typer.Option(metavar="K", min=0, help="The K likeliest tokens at each place.")
    ] = 0,
    output_prefix: Annotated[
        str, typer.Option(metavar="TEXT", help="Before the keys added to an object. [none]")
    ] = "",
    file_field: options.FileField = None,
    header: Annotated[
        bool, typer.Option("--header", help="Print a first line with the names of the columns.")
    ] = False,
    compat: options.Compat = None,
    model: options.ModelOptions,
    directions: options.DirectionOptions,
    unnormalized: options.Unnormalized = False,
    context: options.ContextMode = None,
    bos: options.Bos = True,
    eos: options.Eos = True,
    prefixes: Prefixes,
    oov_costs: OovCosts,
    segmentation: options.Segmentation = "auto",
    text: TextInput,
    rejected: options.Rejected = None,
    output: options.Output = None,
    html: Html = None,
    resume: options.Resume = False,
    line_buffered: options.LineBuffered = False,
    quiet: options.Quiet = False,
) -> None:
    r"""Print the log-probability (in nats) of every line of text.

    Columns: log_prob, num_tokens, num_oov, text, with tabs between them, an id first where the
    input has one. The end of sentence </s> is scored and counted. With --per token or --per word
    there is a row for each of them, </s> included: id of the line (or its number), index in the
    line, text, start and end in the line in characters, log_prob, is_oov; a tab, line break or
    backslash in the text is written as \t, \n, \r or \\. With --format jsonl there is an object
    per line, "tokens" or "words" in it; it keeps the fields of the record it was read from. With
    --format csv a row for each of them, after the columns that were read, and a row of names.
    With --compat there is a block per line, with --per word the words in it, and one at the end.
    With --backward every token is scored given all tokens before and after it, without </s>.
    """
    model, directions = directions.of_folder(model)
    prefixes.check(text.kind)
    paths = text.paths
    measures = _measures(entropy=entropy, rank=rank, alternatives=alternatives > 0)
    plain = bos and eos and not prefixes.are_given and oov_costs.oov_cost is None
    _check_measures(measures, per, context, plain=plain, resume=resume, unnormalized=unnormalized)
    layout = Layout(
        output_format,
        per,
        surprisal=surprisal,
        ids=text.has_ids,
        measures=measures,
        prefix=output_prefix,
        file_field=file_field,
    )
    _check_input(text, layout, compat=bool(compat), rejected=rejected, header=header)
    check_html(
        html,
        paths,
        output,
        apart={"--compat": compat, "--resume": resume, "--unnormalized": unnormalized},
    )
    oov_costs.check(compat=compat, backward=directions.backward)
    report = start_report(
        compat,
        paths,
        bos=bos,
        eos=eos,
        layouts={
            "--format": output_format != "tsv",
            f"--per {per}": per in ("token", "part"),
            "--surprisal": surprisal,
            "--header": header,
            "--resume": resume,
            "--segmentation characters": segmentation == "characters",
            **{f"--{name}": name in measures for name in measures},
        },
    )
    directions.check(
        compat=compat,
        no_bos=not bos,
        prefix=prefixes.are_given,
        unnormalized=unnormalized,
        context=context == "document",
        html=html,
        segmentation=segmentation != "auto",
        **{"per part": per == "part"},
    )
    _check_resumes(output, layout, resume=resume, ends=bos and eos)
    from lmscore.runtime.scoring import Summary

    typed = interactive(paths)
    asked = AskedScores(
        per=per,
        bos=bos,
        eos=eos,
        context=context,
        prefixes=prefixes,
        split=_split(
            text,
            {
                "--compat": bool(compat),
                "a prefix": prefixes.are_given,
                "--backward": directions.backward is not None,
            },
            measures,
        ),
        language=text.language,
        segmentation="spaces" if compat else segmentation,
        document_of=text.document_of(),
        alternatives=alternatives if measures else ALTERNATIVES,
        line_buffered=line_buffered or typed,
        is_report=report is not None,
        is_page=html is not None,
    )
    if typed and not quiet:
        streams.note(PROMPT)
    bad = text.bad_records()
    records = text.records(
        prefix_field=prefixes.prefix_field, prefix_column=prefixes.prefix_column, bad=bad
    )
    with (
        rejected_records(rejected, text.reading(), bad),
        open_records(output, resume=resume, inputs=paths) as out,
    ):
        lm = model.load(unnormalized=unnormalized)
        if measures and (context or lm.config.context) == "document":
            raise OptionError(
                f"{lm.path}: entropies and ranks are of texts on their own: --context sentence"
            )
        scorer = asked.scorer(lm, directions.join(lm, model), oov_costs.load(model), out.flush)
        shown = partial(with_progress, paths=paths, data_on_stdout=output is None)
        if report is not None:
            scored = shown(scorer.scores(records))
            _write_report(report, scored, out, words=per == "word", bad=None if quiet else bad)
            return
        earlier = Earlier(out, layout, header=header)
        shaped = CsvLayout(layout) if output_format == "csv" else layout
        alone = plain and asked.split == "none" and (context or lm.config.context) == "sentence"
        run: Callable[..., Scored] = (
            scorer.measured if measures or (html and alone) else scorer.scores
        )
        totals = Totals(html, lm, Summary(eos=eos and directions.backward is None))
        if (context or lm.config.context) == "sentence" or prefixes.are_given:
            rest = earlier.skip(records, lambda record: record, bar=not typed)
            pairs: Scored = shown(run(rest), skipped=earlier.bytes)
        else:  # the state depends on all lines, so all are scored again
            pairs = earlier.skip(shown(run(records)), itemgetter(0), bar=False)
        for number, (record, result) in enumerate(pairs, earlier.count + 1):
            scored_text, measured = _parts(result)
            lines = shaped.lines(number, record, scored_text, measured)
            earlier.settle(lines, scored_text.num_tokens)
            out.write(lines)
            if record.error is None:
                totals.add(layout.key(number, record), scored_text, measured)
    totals.write(scorer.name)
    if not quiet:
        _note(totals.summary, scorer.name, resumed=earlier.count)
        note_bad_records(bad.count)


def _write_report(
    report: CompatReport,
    scored: Iterable[tuple[Record, Score]],
    out: Output,
    *,
    words: bool,
    bad: BadRecords | None,
) -> None:
    """Write a block for each text in another tool's layout, and at the end that of the totals.

    `bad` are the records that could not be read; None leaves the end out.
    """
    for _, found in scored:
        report.add(found)
        out.write(report.sentence(found, words=words))
    if bad is not None:
        out.write(report.summary())
        note_bad_records(bad.count)


def _check_input(
    text: TextInput, layout: Layout, *, compat: bool, rejected: Path | None, header: bool
) -> None:
    """Raise UsageError for options of input and output that do not go together."""
    check_not_read(rejected, text.paths)
    if header and layout.output_format != "tsv":
        raise UsageError("--header is for --format tsv")
    for flag, given in {
        "--output-prefix": layout.prefix,
        "--file-field": layout.file_field,
    }.items():
        if given and layout.output_format == "tsv":
            raise UsageError(f"{flag} is for --format jsonl or csv")
    if text.on_error == "keep" and (layout.output_format != "jsonl" or compat):
        raise UsageError("--on-error keep writes objects with an error: give --format jsonl")


def _split(text: TextInput, apart: dict[str, bool], measures: Sequence[str]) -> names.Split:
    """How the texts are split; raises UsageError where an option needs them whole."""
    whole = {**apart, f"--{''.join(measures[:1])}": measures}
    return text.splits(apart=next((name for name, given in whole.items() if given), ""))


def _measures(**wanted: bool) -> tuple[names.Measure, ...]:
    """The names of the wanted measures, in the order of their columns."""
    return tuple(name for name in get_args(names.Measure) if wanted[name])


def _check_measures(
    measures: Sequence[str],
    per: names.Per,
    context: str | None,
    *,
    plain: bool,
    resume: bool,
    unnormalized: bool,
) -> None:
    """Raise UsageError where tokens are not measured."""
    if not measures:
        return
    flag = f"--{measures[0]}"
    if per == "sentence":
        raise UsageError(f"{flag} is of tokens and words: give --per token or --per word")
    if not plain or context == "document":
        raise UsageError(
            f"{flag} is for whole sentences on their own: not with --no-bos, --no-eos, a prefix, "
            "--oov-cost or --context document"
        )
    if resume:
        raise UsageError(f"{flag} does not go with --resume")
    if unnormalized:
        raise UsageError(f"{flag} needs whole distributions, which --unnormalized leaves out")


def _check_resumes(output: Path | None, layout: Layout, *, resume: bool, ends: bool) -> None:
    check_output(output, resume=resume)
    if resume and layout.output_format == "csv":
        raise UsageError("--resume does not go with --format csv: a record may have several lines")
    rows = resume and layout.output_format == "tsv" and layout.per != "sentence"
    if rows and layout.ids and not ends:
        raise UsageError(
            f"--resume cannot tell which lines had no {layout.per} to score, since their ids may "
            "repeat: use --format jsonl"
        )


def _parts(result: Score | TextMeasures) -> tuple[Score, TextMeasures | None]:
    """A score, and the measures where tokens are measured."""
    from lmscore.runtime.scoring import Score

    return (result, None) if isinstance(result, Score) else (result.score, result)


def _note(summary: Summary, model: str, *, resumed: int) -> None:
    before = f"resumed after {resumed} lines: " if resumed else ""
    streams.note(f"{model}: {before}{_counts(summary)}")
    streams.note(_figures(summary))


def _counts(summary: Summary) -> str:
    tokens = "tokens with </s>" if summary.eos else "tokens without </s>"
    return (
        f"{summary.sentences} sentences, {summary.words} words, {summary.tokens} {tokens}, "
        f"{summary.oovs} OOVs"
    )


def _figures(summary: Summary) -> str:
    from lmscore.runtime.scoring import rounded

    word = "word, </s> counted" if summary.eos else "word"
    return (
        f"log-probability {summary.log_prob:.4f} nats, perplexity "
        f"{rounded(summary.perplexity, 2)} per token, {rounded(summary.ppl, 2)} per {word}"
    )
