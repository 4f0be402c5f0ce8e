"""`lmscore train`: from text files to a model directory."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmscore.bundle import FP32, INT8, Bundle
from lmscore.cli import streams
from lmscore.cli.graph_records import graph_table
from lmscore.cli.notes import library_notes
from lmscore.cli.progress import Progress
from lmscore.cli.report_files import Html, check_html
from lmscore.cli.training import given_options, training_parameters
from lmscore.cli.usage import UsageError, command_line
from lmscore.errors import InputError, OptionError, needs_extra

if TYPE_CHECKING:
    from lmscore.train import Status, TrainOptions


def train(
    call: typer.Context,
    *,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="TOML file of options; those given here come first."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in --output.")
    ] = False,
    finish: Annotated[
        bool,
        typer.Option(
            "--finish",
            help="Make the model of the best weights so far of a run in --output that was stopped.",
        ),
    ] = False,
    diagnose: Annotated[
        bool,
        typer.Option(
            "--diagnose",
            help="Draw losses, gradients and dead units into OUTPUT/diagnosis.png, and say what "
            "they show.",
        ),
    ] = False,
    html: Html = None,
    export: Annotated[
        bool, typer.Option("--export/--no-export", help="Make the ONNX graphs at the end.")
    ] = True,
    **chosen: Any,
) -> None:
    """Train a model on text, and export it.

    Within a budget of minutes or of epochs; the best weights on the held-out text are kept.
    Ctrl-C or a crash loses nothing but the time since the last checkpoint: --resume goes on, and
    --finish makes the model of the best weights so far.
    The same options, with underscores, are the keys of a TOML file for --config.
    """
    check_html(html, [])
    _wait_asleep()
    resume = resume or finish
    given = given_options(chosen)
    options = _options(given, config, resume=resume)
    check_html(html, [], apart={"--direction both": options.direction == "both"})
    with needs_extra("train"):
        import lmscore.train
        from lmscore.train import rank_of_process
    if export:  # not after hours of training
        from lmscore.runtime.engine import check_version

        check_version(options.cell)
    if rank_of_process() > 0:  # one of several that torchrun started: the first one speaks
        lmscore.train.train(options, resume=resume, finish=finish)
        return
    with (
        library_notes(call.command),
        _diagnoses(options, diagnose),
        _curves(options, html) as curves,
        Progress("training", total=1.0, lines=False) as bar,
    ):
        report = functools.partial(_show, bar)
        bundles = _train(options, resume=resume, finish=finish, report=report)
        texts = [_summary(bundle) for bundle in bundles]
        curves.extend(texts)
    try:
        if export:  # before a word is said: standard output may be closed by now
            from lmscore.export import export_model

            streams.note("making the graphs, and comparing them with PyTorch")
            for number, bundle in enumerate(bundles):
                texts[number] += graph_table(export_model(bundle.path), (FP32, INT8))
    finally:
        streams.write("".join(texts))


def _train(options: TrainOptions, **how: Any) -> tuple[Bundle, ...]:
    """The model of a run, or one of each direction."""
    from lmscore.train import train, train_both

    return train_both(options, **how) if options.direction == "both" else (train(options, **how),)


def _wait_asleep() -> None:
    """Let OpenMP's threads sleep while they wait, unless the user has said how they wait.

    Threads that spin wait for one whose core another process uses: docs/performance.md has figures.
    OpenMP reads this when torch is imported, and not again.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def _complete_signature() -> None:
    """Give `train` a parameter for every field of TrainOptions, where typer looks for them."""
    signature = inspect.signature(train, eval_str=True)
    call, config, resume, finish, diagnose, html, export, _ = signature.parameters.values()
    made = {parameter.name: parameter for parameter in training_parameters()}
    first = [call, made.pop("files"), made.pop("output"), config, resume, finish]
    parameters = [*first, *made.values(), diagnose, html, export]
    train.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    train.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}


_complete_signature()


def _options(given: dict[str, Any], config: Path | None, *, resume: bool) -> TrainOptions:
    """The options of a run; what the command line alone decides is checked first."""
    from lmscore.train import make_options, read_toml
    from lmscore.train.options import check_effect, check_values

    with command_line():
        check_values(given)
        if not resume and config is None:
            check_effect(given)
            if "init_from" not in given:
                return make_options(given)
    if not resume:
        values = read_toml(config) if config is not None else {}
        if "epochs" in given or "minutes" in given:  # a budget replaces the file's
            values = {k: v for k, v in values.items() if k not in ("epochs", "minutes")}
        if config is None:
            return make_options({**values, **given})
        try:
            return make_options({**values, **given})
        except OptionError as error:
            raise InputError(f"{config}: {error}") from error
    if config is not None:
        raise UsageError("--resume goes on with the options the run was started with: no --config")
    if "output" not in given:
        raise UsageError("--resume needs --output, the directory of the run")
    with needs_extra("train"):
        from lmscore.train import resumed_options
    return resumed_options(given.pop("output"), given)


@contextmanager
def _diagnoses(options: TrainOptions, wanted: bool) -> Iterator[None]:
    """Draw every run when all are over."""
    from lmscore.train import options_by_direction

    runs = options_by_direction(options) if options.direction == "both" else (options,)
    with ExitStack() as stack:
        for run in runs:
            stack.enter_context(_diagnosis(run, wanted))
        yield


@contextmanager
def _diagnosis(options: TrainOptions, wanted: bool) -> Iterator[None]:
    """Draw the run when it is over, and all the more when it failed."""
    from lmscore.cli.diagrams import check_drawing, draw_diagnosis
    from lmscore.cli.findings import findings
    from lmscore.cli.run_records import RunRecord

    if not wanted:
        yield
        return
    check_drawing()
    try:
        yield
    finally:
        run = RunRecord.read(Path(options.output))
        if picture := draw_diagnosis(run):
            streams.note(f"{picture}: how the training went")
            for found in findings(run):
                streams.note(found)
        else:
            streams.note("--diagnose: the training ended before anything was recorded")


@contextmanager
def _curves(options: TrainOptions, html: Path | None) -> Iterator[list[str]]:
    """Write the page of a run when it is over; what is put into the list is said there."""
    from lmscore.cli.training_page import write_training_page

    said: list[str] = []
    try:
        yield said
    finally:
        if html is not None and Path(options.output).is_dir():
            write_training_page(html, Path(options.output), "".join(said) or None)


def _summary(bundle: Bundle) -> str:
    from lmscore.train import held_out_sentence

    return f"{bundle.path}: {held_out_sentence(bundle.config)}\n"


def _show(bar: Progress, status: Status) -> None:
    """Show a run in a line of 80 columns: perplexities, tokens per second, the time left."""
    rate = f"{status.tokens_per_second:,.0f}/s"
    if status.is_measuring:
        doing, text = "measuring", rate
    else:
        doing, text = "training", f"perplexity {_rounded(status.perplexity)}"
        if status.held_out_perplexity is not None:
            text += f", held out {_rounded(status.held_out_perplexity)}"
        text += f", {rate}"
    bar.update(status.progress, text, seconds_left=status.seconds_left, description=doing)


def _rounded(perplexity: float) -> str:
    """A perplexity in six characters at most, up to a million."""
    return f"{perplexity:.0f}" if perplexity >= 1000 else f"{perplexity:.1f}"
