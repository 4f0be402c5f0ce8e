"""`lmscore tune`: the weights of a rescorer, from lists with references, and what they gain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmscore import names
from lmscore.cli import options, streams
from lmscore.cli.plot import check_picture, plot_metric
from lmscore.cli.report_files import Html, check_html
from lmscore.cli.rescoring.lattice_tuning import (
    LatticeTuning,
    check_lattice_options,
    lattice_format,
)
from lmscore.cli.rescoring.list_input import ListInput, check_lists_stay
from lmscore.cli.rescoring.list_models import ListModels, note_mixtures
from lmscore.cli.rescoring.list_page import write_tuning_page
from lmscore.cli.rescoring.ranked_lists import score_hint
from lmscore.cli.rescoring.seen_text import SeenText
from lmscore.cli.rescoring.text_form import SAMPLE, settled_preparation
from lmscore.cli.rescoring.tuning_report import measured, tuned, with_scores
from lmscore.cli.usage import UsageError, command_line
from lmscore.errors import OptionError

if TYPE_CHECKING:
    from lmscore.runtime.rescoring.lattices import LatticeFormat
    from lmscore.runtime.rescoring.lists import NBestList
    from lmscore.runtime.rescoring.models import ListScorer


def tune(
    *,
    lists: ListInput,
    metric: Annotated[
        names.MetricName, typer.Option(help="What is to become as good as it can.")
    ] = "wer",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Write the weights to this file, for --weights of lmscore rescore or lattice.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Tune nothing: report the gain of these weights."),
    ] = None,
    weigh: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A score of the lists to weigh; the first has the weight 1. May be given again. "
            "Default: the decoder's own, or rank where there is none.",
            show_default=False,
        ),
    ] = None,
    use_model: Annotated[
        bool, typer.Option("--with-model/--no-model", help="Score the lists with a model first.")
    ] = True,
    word_penalty: Annotated[
        bool, typer.Option("--word-penalty/--no-word-penalty", help="Tune a word penalty, too.")
    ] = True,
    length_normalization: Annotated[
        float,
        typer.Option(metavar="X", help="Divide scores by words to the power of X; not tuned."),
    ] = 0.0,
    folds: Annotated[
        int,
        typer.Option(
            metavar="K", min=2, help="Judge each of K parts by weights tuned on the others."
        ),
    ] = 10,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of all that is random.")] = 1,
    ignore_case: Annotated[
        bool, typer.Option("--ignore-case", help="Compare with the references in lower case.")
    ] = False,
    ignore_punctuation: Annotated[
        bool, typer.Option("--ignore-punctuation", help="Compare without punctuation.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Draw the metric against the model's weight; .png, .svg, .pdf."
        ),
    ] = None,
    html: Html = None,
    output_format: options.Report = "text",
    models: ListModels,
    seen: SeenText,
) -> None:
    """Find the weights of scores on n-best lists or lattices with references, and what they gain.

    The lists are scored by a model and chosen from by

    score = (sum of weight * score + word penalty * words) / words ** length normalization

    Prints the metric of the first hypotheses, of those that the weights choose, each list judged
    by weights that were tuned on others, and of the best that are in the lists (oracle), with 95 %
    confidence intervals from the paired bootstrap. The weights printed and written are tuned on
    all lists; --weights says what they are worth on lists they have not seen.

    Beside the scores in the lists, `words`, `rank` (minus the place in the list), `NAME*words` and
    `NAME*characters` can be weighed. A list without hypotheses counts as one that found nothing.
    --join and --remove hold for the comparison with the references, too; --lowercase does not.

    Of lattices the 100 best texts under the weights found so far are added to lists, until nothing
    new comes; the weights are for lmscore lattice --weights.
    """
    _check_options(weights, weigh or [], output)
    seen.check()
    added = models.feature_names() if use_model else []
    beside = _beside(models) if use_model else []
    from lmscore.runtime.rescoring.lists import METRICS, Weights, normalization, read_weights
    from lmscore.runtime.rescoring.tuning import as_weights, candidates

    with command_line():
        if weigh:
            _names(weigh, [*added, *beside], word_penalty=word_penalty)
        Weights({"": 0.0}, length_normalization=length_normalization)  # checks the number
    if plot is not None:
        check_picture(plot)
    check_lists_stay(output, lists.paths)
    check_html(html, lists.paths, output)
    of_lattices = _checked_format(lists, models, seen, of_lists=bool(weigh) or not use_model)

    given = None if weights is None else read_weights(weights)
    METRICS[metric].statistics([""], "")  # to learn now, not in minutes, what is not installed
    if of_lattices is None:
        found, own = _read(lists, seen)
        scorers = _opened(models, seen, lists.errors) if use_model else []
    else:
        search = LatticeTuning(models, seen, METRICS[metric], word_penalty, seed)
        found, own = search.lists(lists, of_lattices, given)
        scorers = []  # the scores are in the lists
    if given is None:
        terms = _names(weigh or own, [*added, *beside], word_penalty=word_penalty)
    else:
        terms, length_normalization = list(given.terms()), given.length_normalization
    prepare = settled_preparation(seen, found[:SAMPLE], scorers, lists.errors)
    joined = seen.preparation(lists.errors, seen=False)
    compared = normalization(ignore_case=ignore_case, ignore_punctuation=ignore_punctuation)

    def normalize(text: str) -> str:
        return compared(joined(text))

    scored = list(with_scores(found, scorers, prepare))
    judged = candidates(
        scored,
        terms,
        METRICS[metric],
        length_normalization=length_normalization,
        normalize=normalize,
    )
    if given:
        report = measured(judged, given, seed, added=added)
    else:
        report = tuned(judged, folds, seed, added=added)
    chosen = given or as_weights(judged, report.values, length_normalization=length_normalization)
    if output is not None:
        chosen.save(output)
    if plot is not None:
        plot_metric(plot, report, _plotted(terms, added))
    if html is not None:
        write_tuning_page(html, report, chosen, scored, normalize)
    streams.write(report.as_json(chosen) if output_format == "json" else report.as_text(chosen))


def _checked_format(
    lists: ListInput, models: ListModels, seen: SeenText, *, of_lists: bool
) -> LatticeFormat | None:
    """The format of the input if it holds lattices; raises UsageError for options that clash."""
    found = lattice_format(lists)
    if found is not None and of_lists:
        raise UsageError("--weigh and --no-model are for lists, not for lattices")
    if found is not None:
        check_lattice_options(lists, models, seen)
    return found


def _read(lists: ListInput, seen: SeenText) -> tuple[list[NBestList], list[str]]:
    """All lists, each with a reference, and the names of the decoder's own scores."""
    from lmscore.runtime.rescoring.lists import ScoreSigns, own_scores, peek, reference_of

    list_format, read = lists.read(seen.removed(lists.errors))
    found = list(read)
    streams.note(f"{len(found)} lists, {list_format.name}")
    lists.note_missing_scores(peek(found)[0])
    signs = ScoreSigns(list_format.are_costs)
    for nbest in found:
        reference_of(nbest)
        signs.see(nbest, list_format.score)
    for hint in score_hint(signs):
        streams.note(hint)
    return found, own_scores(peek(found)[0], list_format.score)


def _opened(models: ListModels, seen: SeenText, errors: names.Utf8Errors) -> list[ListScorer]:
    scorers = models.open(seen.preparation(errors), errors)
    note_mixtures(scorers)
    return scorers


def _check_options(weights: Path | None, weigh: Sequence[str], output: Path | None) -> None:
    if weights is not None and (weigh or output):
        option = "--weigh" if weigh else "--output"
        raise UsageError(f"--weights has all weights, and nothing is tuned: no {option}")
    if output == Path("-"):
        raise UsageError("--output needs a file; standard output has the report")


def _beside(models: ListModels) -> list[str]:
    """The features that are taken off the models' scores."""
    from lmscore.runtime.rescoring.models import LODR

    return [] if models.lodr is None else [LODR]


def _names(own: Sequence[str], added: Sequence[str], *, word_penalty: bool) -> list[str]:
    """The terms to weigh: the lists' own scores, the models' scores, and words."""
    from lmscore.runtime.rescoring.lists import WORDS

    names = list(dict.fromkeys([*own, *added, *[WORDS] * word_penalty]))
    if len(names) < 2:
        raise OptionError(f"nothing to tune: there is only {names[0]!r} to choose by")
    return names


def _plotted(names: Sequence[str], added: Sequence[str]) -> int:
    """The index of the first model's weight, or else of the second weight, the first tuned one."""
    first = next((name for name in added if name in names), None)
    return min(1, len(names) - 1) if first is None else names.index(first)
