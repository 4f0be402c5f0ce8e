"""`lmscore rescore`: n-best lists with the scores of language models in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from lmscore import names
from lmscore.bundle import Context
from lmscore.cli import options, streams
from lmscore.cli.outfile import write_texts
from lmscore.cli.report_files import Html, check_html
from lmscore.cli.rescoring.explained_list import explanation, up_to
from lmscore.cli.rescoring.list_input import ListInput, ListOutput, check_lists_stay
from lmscore.cli.rescoring.list_models import ListModels, note_mixtures
from lmscore.cli.rescoring.list_page import RescorePage
from lmscore.cli.rescoring.posterior_options import PosteriorOptions
from lmscore.cli.rescoring.prefix_options import PrefixOptions
from lmscore.cli.rescoring.ranked_lists import Job, Meter, Ranked, summary
from lmscore.cli.rescoring.seen_text import SeenText
from lmscore.cli.rescoring.text_form import SAMPLE, settled_preparation
from lmscore.cli.rescoring.weight_options import WeightOptions
from lmscore.cli.scored_records import interactive
from lmscore.cli.usage import UsageError
from lmscore.files import names_directory

if TYPE_CHECKING:
    from lmscore.runtime.rescoring.formats import Format
    from lmscore.runtime.rescoring.lists import Metric, NBestList

ListBuffered = Annotated[
    bool,
    typer.Option(
        "--line-buffered",
        help="Answer every list before reading on: one whose end no line shows, when the next "
        "begins. The format is recognised by the first line.",
    ),
]

_PROMPT = "type n-best lists; Ctrl-D ends them"


def rescore(
    *,
    lists: ListInput,
    output: ListOutput = None,
    rerank: Annotated[
        bool, typer.Option("--rerank", help="Put the hypotheses of each list in order, best first.")
    ] = False,
    best: Annotated[
        bool,
        typer.Option("--best", help="Print only the text of the best hypothesis, a line per list."),
    ] = False,
    with_ids: options.WithIds = False,
    explain: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Print one list as a table instead: every score, what it counts, what decided.",
        ),
    ] = None,
    weighing: WeightOptions,
    metric: Annotated[
        names.MetricName | None,
        typer.Option(
            help="Say how far the first and the best hypotheses are from the references; --join "
            "and --remove hold for both.",
            show_default=False,
        ),
    ] = None,
    models: ListModels,
    context: Annotated[
        Context,
        typer.Option(
            help="How lists connect: each on its own, or the state carried from one to the next "
            "along the best hypotheses, which is slower."
        ),
    ] = "sentence",
    prefix: PrefixOptions,
    seen: SeenText,
    posteriors: PosteriorOptions,
    html: Html = None,
    line_buffered: ListBuffered = False,
    quiet: options.Quiet = False,
) -> None:
    """Score the hypotheses of n-best lists, and put the scores into the lists.

    The lists come back in their own format with a new score, log P of each hypothesis: in nats,
    log10 in SRILM's lists, costs in Kaldi's. Order and everything else stay as they are, unless
    --rerank or --best ask for the hypotheses with the highest

    score = (sum of weight * score + word penalty * words) / words ** length normalization

    docs/formats.md has the formats and the names of their scores; `words`, `rank`, `NAME*words`
    and `NAME*characters` can be weighed everywhere. In document context all lists are one
    document, in the order of the input. With --prefixes or --first-as-prefix the new score is that
    of a hypothesis given a text, as models of pairs have it.

    --mbr and --confidence take exp(score / posterior scale) for the probability of a hypothesis;
    words are those that --join and --remove leave.
    """
    _check_layout(output, rerank=rerank, best=best, with_ids=with_ids, explain=explain)
    posteriors.check(best=best, chooses=best or rerank or metric is not None)
    if quiet and metric is not None and html is None:
        raise UsageError("--metric is said in the summary: leave out --quiet")
    lists.check()
    line_buffered = _is_line_buffered(line_buffered, lists)
    seen.check()
    check_html(html, lists.paths, output, apart={"--explain": explain})
    added = _new_features(models, context, prefix)
    weighing.check(added)
    tuned = weighing.tuned()
    from lmscore.runtime.rescoring.formats import check_output
    from lmscore.runtime.rescoring.lists import RANK, ahead, peek

    prepare, judge = seen.preparation(lists.errors), _judge(metric)
    texts = best or explain is not None
    # Lists take their own place, texts would take that of the lists.
    check_lists_stay(output, lists.paths, may_replace=not texts)
    if interactive(lists.paths) and not quiet:
        streams.note(_PROMPT)
    list_format, found = _read(lists, seen, prefix, line_buffered=line_buffered)
    if not texts:
        check_output(list_format, output)
    sample, found = ahead(found, 1 if line_buffered else SAMPLE)
    first, found = peek(found)
    scorers = models.open(prepare, lists.errors)
    prepare = settled_preparation(seen, sample, scorers, lists.errors, quiet=quiet)
    if not quiet:
        note_mixtures(scorers)
    lodr = models.lodr is not None
    chosen = tuned or weighing.defaults(added, first, list_format.score, lodr=lodr)
    job = Job(
        scorers,
        chosen,
        prepare,
        context,
        models.eos,
        judge,
        seen.preparation(lists.errors, seen=False),
        posteriors,
        line_buffered,
        prefix if prefix.are_wanted else None,
    )
    if explain is not None:
        found = up_to(found, explain, alone=context == "sentence")
        write_texts([explanation(list(job.rank(found))[-1], job)], output)
        return
    meter = Meter(None if tuned else list_format.score, are_costs=list_format.are_costs)
    page = RescorePage(html, job)
    shown = page.watched(
        meter.shown(job.rank(meter.read(found)), lists.paths, data_on_stdout=output is None)
    )
    if best:
        write_texts(
            (_line(one, with_ids=with_ids, confidence=posteriors.confidence) for one in shown),
            output,
            flushed=line_buffered,
        )
    else:
        _write_lists(list_format, shown, output, rerank=rerank, flushed=line_buffered)
    by_order = tuned is None and RANK in chosen.features and RANK not in weighing.own
    said = list(summary(job, meter, first, by_order=by_order))
    page.write(said)
    if not quiet:
        _note(lists, f"{meter.counts.lists} lists, {list_format.name}", first, said)


def _note(lists: ListInput, read: str, first: NBestList | None, said: Iterable[str]) -> None:
    """Say what was read, and the lines of the summary."""
    limit = lists.max_hypotheses
    most = "" if limit is None else f", at most {limit} hypotheses of each"
    streams.note(f"{read}{most}")
    lists.note_missing_scores(first)
    for line in said:
        streams.note(line)


def _check_layout(
    output: str | None, *, rerank: bool, best: bool, with_ids: bool, explain: str | None
) -> None:
    if explain is not None and (rerank or best):
        raise UsageError("--explain prints a table: leave out --rerank and --best")
    if explain is not None and output is not None and names_directory(output):
        raise UsageError("--explain writes one file: give --output a file")
    if rerank and best:
        raise UsageError("--rerank writes whole lists and --best does not: give one")
    if with_ids and not best:
        raise UsageError("--with-ids goes with --best")
    if best and output is not None and names_directory(output):
        raise UsageError("--best writes one file: give --output a file")


def _is_line_buffered(wanted: bool, lists: ListInput) -> bool:
    """Whether every list is answered before reading on: if it is wanted, or lists are typed."""
    reads_all = bool(lists.references or lists.mapping)
    if wanted and reads_all:
        raise UsageError("--line-buffered: --references and --map read all lists first")
    return wanted or (interactive(lists.paths) and not reads_all)


def _read(
    lists: ListInput, seen: SeenText, prefix: PrefixOptions, *, line_buffered: bool
) -> tuple[Format, Iterator[NBestList]]:
    """Open the lists, with the texts that their hypotheses follow if there are any."""
    list_format, found = lists.read(seen.removed(lists.errors), line_buffered=line_buffered)
    return list_format, prefix.given_to(found, lists, by_line=list_format.counts_lists)


def _new_features(models: ListModels, context: Context, prefix: PrefixOptions) -> list[str]:
    """The names of the new features; raises UsageError if the options of models are not valid."""
    names = models.feature_names()
    if context == "document" and (len(models.lm or []) > 1 or models.lodr is not None):
        raise UsageError("--context document is for one recurrent model alone")
    prefix.check(models, document=context == "document")
    return names


def _judge(name: names.MetricName | None) -> Metric | None:
    """The metric of a name, of which it is clear that it can be computed here."""
    from lmscore.runtime.rescoring.lists import METRICS

    if name is None:
        return None
    METRICS[name].statistics([""], "")  # to learn now what is not installed
    return METRICS[name]


def _write_lists(
    list_format: Format,
    ranked: Iterable[Ranked],
    output: str | None,
    *,
    rerank: bool,
    flushed: bool,
) -> None:
    from lmscore.runtime.rescoring.formats import render, write

    read = (found for found in ranked if found.nbest.source is not None)  # not for a reference
    lists = (found.nbest.reordered(found.order) if rerank else found.nbest for found in read)
    if output is None:
        write_texts(render(list_format, lists), None, flushed=flushed)
    else:
        write(list_format, lists, output)


def _line(found: Ranked, *, with_ids: bool, confidence: bool) -> str:
    """The best hypothesis on one line, with the probabilities of its words if asked for.

    An empty list has an empty text.
    """
    nbest = found.nbest
    text = nbest.hypotheses[found.order[0]].text if found.order else ""
    fields = [nbest.id.replace("\t", " "), text] if with_ids else [text]
    if confidence:
        shares = found.posteriors.confidences(found.order[0]) if found.posteriors else []
        fields.append(" ".join(f"{share:.3f}" for share in shares))
    return "\t".join(fields).replace("\r", " ").replace("\n", " ") + "\n"
