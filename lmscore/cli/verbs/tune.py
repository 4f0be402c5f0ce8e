"""`lmscore tune`: the weights of a rescorer, from lists with references, and what they gain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmscore import names
from lmscore.cli import options, streams
from lmscore.cli.lists import (
    assignments,
    check_lists_stay,
    mixture_weights,
    note_mixtures,
    preparation,
)
from lmscore.cli.plot import check_picture, plot_metric
from lmscore.cli.tuning import measured, tuned, with_scores
from lmscore.cli.usage import UsageError
from lmscore.files import read_lines

if TYPE_CHECKING:
    from lmscore.runtime.rescoring.lists.nbest import NBestList
    from lmscore.runtime.rescoring.models.scorer import ListScorer


def tune(
    files: options.Lists = None,
    *,
    metric: Annotated[
        names.MetricName, typer.Option(help="What is to become as good as it can.")
    ] = "wer",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Write the weights to this file, for lmscore rescore --weights.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Tune nothing: say what these weights gain."),
    ] = None,
    references: options.References = None,
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
    output_format: options.Report = "text",
    feature: options.Feature = "lmscore",
    model: options.Model = None,
    lm: options.Models = None,
    mix: options.Mix = None,
    mix_weights: options.MixWeights = None,
    mix_text: options.MixText = None,
    variant: options.Variant = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    unnormalized: options.Unnormalized = False,
    eos: options.Eos = True,
    input_format: options.ReadingLists = None,
    beam_size: options.BeamSize = None,
    scores: options.Archives = None,
    join: options.Join = None,
    lowercase: options.Lowercase = False,
    remove: options.Remove = None,
) -> None:
    """Find the weights of scores on n-best lists with references, and what they gain.

    The lists are scored by a model and chosen from by

    score = (sum of weight * score + word penalty * words) / words ** length normalization

    Prints the metric of the first hypotheses, of those that the weights choose, each list judged
    by weights that were tuned on others, and of the best that are in the lists (oracle), with 95 %
    confidence intervals from the paired bootstrap. The weights printed and written are tuned on
    all lists; --weights says what they are worth on lists they have not seen.

    Beside the scores in the lists, `words`, `rank` (minus the place in the list), `NAME*words` and
    `NAME*characters` can be weighed. A list without hypotheses counts as one that found nothing.
    --join and --remove hold for the comparison with the references, too; --lowercase does not.
    """
    _check_options(weights, weigh or [], output)
    check_lists_stay(output, files or ["-"])
    from lmscore.runtime.rescoring.formats import read
    from lmscore.runtime.rescoring.lists.metrics import METRICS, normalization
    from lmscore.runtime.rescoring.lists.weights import read_weights
    from lmscore.runtime.rescoring.models.scorers import open_scorers
    from lmscore.runtime.rescoring.tuning.candidates import candidates, reference_of

    if plot is not None:
        check_picture(plot)
    given = None if weights is None else read_weights(weights)
    METRICS[metric].statistics([""], "")  # to learn now, not in minutes, what is not installed
    list_format, found = read(
        files or ["-"],
        input_format,
        references=references,
        beam_size=beam_size,
        scores=assignments("--scores", scores or []),
    )
    lists = list(found)
    for nbest in lists:
        reference_of(nbest)
    prepare = preparation(join, remove or [], lowercase=lowercase)
    scorers: list[ListScorer] = []
    if use_model:
        scorers = open_scorers(
            lm or [],
            model=model,
            name=feature,
            mix=mix,
            weights=mixture_weights(mix_weights),
            texts=None if mix_text is None else map(prepare, read_lines(mix_text)),
            eos=eos,
            device=device,
            variant=variant,
            threads=threads,
            unnormalized=unnormalized,
        )
        note_mixtures(scorers)
    if given is None:
        own = weigh or _own_scores(lists, list_format.score)
        names = _names(own, scorers, word_penalty=word_penalty)
    else:
        names, length_normalization = list(given.terms()), given.length_normalization
    joined = preparation(join, remove or [], lowercase=False)
    compared = normalization(ignore_case=ignore_case, ignore_punctuation=ignore_punctuation)
    judged = candidates(
        with_scores(lists, scorers, prepare),
        names,
        METRICS[metric],
        length_normalization=length_normalization,
        normalize=lambda text: compared(joined(text)),
    )
    report = measured(judged, given, seed) if given else tuned(judged, folds, seed)
    chosen = given or report.weights(length_normalization)
    if output is not None:
        chosen.save(output)
    if plot is not None:
        plot_metric(plot, report, _plotted(names, scorers))
    streams.write(report.as_json(chosen) if output_format == "json" else report.as_text(chosen))


def _check_options(weights: Path | None, weigh: Sequence[str], output: Path | None) -> None:
    if weights is not None and (weigh or output):
        option = "--weigh" if weigh else "--output"
        raise UsageError(f"--weights has all weights, and nothing is tuned: no {option}")
    if output == Path("-"):
        raise UsageError("--output needs a file; standard output has the report")


def _own_scores(lists: Sequence[NBestList], score: str | None) -> list[str]:
    """The decoder's own scores: one, all (`score` is None), or none but the order."""
    first = next((nbest.hypotheses[0] for nbest in lists if nbest.hypotheses), None)
    own = [] if first is None else [name for name in first.features if score in (None, name)]
    if own:
        return own
    from lmscore.runtime.rescoring.lists.weights import RANK

    return [RANK]


def _names(own: Sequence[str], scorers: Sequence[ListScorer], *, word_penalty: bool) -> list[str]:
    """What is weighed: the lists' own scores, the models', and words."""
    from lmscore.runtime.rescoring.lists.weights import WORDS

    added = [scorer.name for scorer in scorers]
    names = list(dict.fromkeys([*own, *added, *[WORDS] * word_penalty]))
    if len(names) < 2:
        raise UsageError(f"nothing to tune: there is only {names[0]!r} to choose by")
    return names


def _plotted(names: Sequence[str], scorers: Sequence[ListScorer]) -> int:
    """The first model's weight, or else the second, which is the first that is tuned."""
    added = [scorer.name for scorer in scorers if scorer.name in names]
    return names.index(added[0]) if added else min(1, len(names) - 1)
