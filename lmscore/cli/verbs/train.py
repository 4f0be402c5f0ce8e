"""`lmscore train`: from text files to a model directory."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmscore.bundle import FP32, INT8, Bundle, Cell, Context, Direction, OutputLayer
from lmscore.cli import streams
from lmscore.cli.progress import Progress
from lmscore.cli.verbs.export import certificate
from lmscore.errors import OptionError, needs_extra

if TYPE_CHECKING:
    from lmscore.train import Status, TrainOptions


def train(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="Text to train on, one sentence per line; gzip and xz are unpacked.",
            show_default=False,
        ),
    ] = None,
    *,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Model directory to write.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="TOML file of options; those given here come first."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in --output.")
    ] = False,
    valid: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Held-out text. Default: every 100th line of FILE."),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(metavar="N", help="Budget: the schedule follows the clock.")
    ] = None,
    epochs: Annotated[
        float | None, typer.Option(metavar="N", help="Budget: times through the text. Default: 10.")
    ] = None,
    init_from: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Go on from this model: its weights, tokenizer and sizes. A lower "
            "--learning-rate suits (0.001).",
        ),
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="bpe, unigram, word, char, or a tokenizer.json. [bpe]"),
    ] = None,
    vocab_size: Annotated[
        int | None, typer.Option(metavar="V", help="At most, special tokens included. [8192]")
    ] = None,
    min_count: Annotated[
        int | None,
        typer.Option(metavar="N", help="word and char: rarer ones become <unk>. [1]"),
    ] = None,
    normalization: Annotated[
        Literal["none", "nfc", "nfkc", "lowercase", "nfkc+lowercase"] | None,
        typer.Option(help="Of all text, kept in tokenizer.json. [none]", show_default=False),
    ] = None,
    bos_token: Annotated[str | None, typer.Option(metavar="NAME", help="[<s>]")] = None,
    eos_token: Annotated[str | None, typer.Option(metavar="NAME", help="[</s>]")] = None,
    unk_token: Annotated[str | None, typer.Option(metavar="NAME", help="[<unk>]")] = None,
    context: Annotated[
        Context | None,
        typer.Option(help="Lines on their own, or one stream with the state carried. [sentence]"),
    ] = None,
    direction: Annotated[
        Direction | None, typer.Option(help="backward: read sentences from their end. [forward]")
    ] = None,
    cell: Annotated[Cell | None, typer.Option(help="[lstm]")] = None,
    hidden_size: Annotated[
        int | None, typer.Option(metavar="H", help="Also the embedding size. [512]")
    ] = None,
    embedding_size: Annotated[
        int | None,
        typer.Option(metavar="E", help="Another one; a tied network projects H to E. [H]"),
    ] = None,
    layers: Annotated[int | None, typer.Option(metavar="L", help="[1]")] = None,
    window_size: Annotated[
        int | None,
        typer.Option(metavar="N", help="Of the cell window: tokens that it reads at once. [5]"),
    ] = None,
    residual: Annotated[
        bool | None, typer.Option("--residual", help="Add a layer's input to its output.")
    ] = None,
    tied: Annotated[
        bool | None,
        typer.Option("--tied/--untied", help="One matrix for embedding and output. [tied]"),
    ] = None,
    output_layer: Annotated[
        OutputLayer | None,
        typer.Option(
            help="classes: frequent words, and classes of the others, which are computed where "
            "they are needed; for big vocabularies. [softmax]",
            show_default=False,
        ),
    ] = None,
    cutoffs: Annotated[
        str | None,
        typer.Option(metavar="ID,ID,...", help="Where classes begin. Default: by their cost."),
    ] = None,
    self_normalize: Annotated[
        float | None,
        typer.Option(
            metavar="A",
            help="Learn scores that need no softmax: A * (log Z)^2 joins the loss (0.1). [0]",
        ),
    ] = None,
    sampled_softmax: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Train on the commonest tokens and N draws of the others a batch, several times "
            "as fast (1024). 0: on all. [0]",
        ),
    ] = None,
    recurrent_init: Annotated[
        Literal["orthogonal", "identity"] | None,
        typer.Option(help="Of rnn cells; identity is for rnn-relu. [orthogonal]"),
    ] = None,
    dropout: Annotated[
        float | None, typer.Option(metavar="P", help="Locked dropout on all layers. [0.2]")
    ] = None,
    input_dropout: Annotated[
        float | None, typer.Option(metavar="P", help="Another on the embedding. [dropout]")
    ] = None,
    layer_dropout: Annotated[
        float | None, typer.Option(metavar="P", help="Another between layers. [dropout]")
    ] = None,
    word_dropout: Annotated[
        float | None, typer.Option(metavar="P", help="Of whole words on the input. [0]")
    ] = None,
    weight_drop: Annotated[
        float | None, typer.Option(metavar="P", help="Of recurrent weights. [0]")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(metavar="B", help="[64]")] = None,
    bptt: Annotated[
        int | None,
        typer.Option(metavar="T", help="batch-size * bptt tokens make one update. [35]"),
    ] = None,
    random_bptt: Annotated[
        bool | None,
        typer.Option("--random-bptt", help="Draw the lengths around bptt; document context."),
    ] = None,
    optimizer: Annotated[Literal["adamw", "sgd"] | None, typer.Option(help="[adamw]")] = None,
    learning_rate: Annotated[float | None, typer.Option(metavar="R", help="[0.004]")] = None,
    schedule: Annotated[
        Literal["cosine", "constant"] | None,
        typer.Option(help="Of the learning rate, after the warm-up. [cosine]"),
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(metavar="R", help="[0.01]")] = None,
    warmup: Annotated[
        float | None, typer.Option(metavar="P", help="Part of the budget. [0.02]")
    ] = None,
    clip: Annotated[float | None, typer.Option(metavar="N", help="Gradient norm. [1]")] = None,
    average: Annotated[
        Literal["none", "ema", "asgd", "nt-asgd"] | None,
        typer.Option(help="Of the weights over the updates: it is evaluated and kept. [none]"),
    ] = None,
    average_decay: Annotated[
        float | None, typer.Option(metavar="P", help="Of the average ema. [0.999]")
    ] = None,
    activation_penalty: Annotated[
        float | None, typer.Option(metavar="R", help="AR, of the last layer. [0]")
    ] = None,
    temporal_penalty: Annotated[
        float | None, typer.Option(metavar="R", help="TAR, of the last layer. [0]")
    ] = None,
    label_smoothing: Annotated[
        float | None, typer.Option(metavar="P", help="Part of the target for all words. [0]")
    ] = None,
    evaluations: Annotated[
        int | None, typer.Option(metavar="N", help="Intermediate ones, on held-out text. [5]")
    ] = None,
    checkpoint_minutes: Annotated[float | None, typer.Option(metavar="N", help="[2]")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="[1]")] = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16"] | None,
        typer.Option(help="auto: bf16 where the hardware has it. [auto]", show_default=False),
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="auto, cpu, cuda or cuda:N. [auto]")
    ] = None,
    threads: Annotated[int | None, typer.Option(metavar="N", help="CPU threads.")] = None,
    tensorboard: Annotated[
        bool | None, typer.Option("--tensorboard", help="Also log for TensorBoard.")
    ] = None,
    diagnose: Annotated[
        bool,
        typer.Option(
            "--diagnose", help="Draw losses, gradients and dead units into OUTPUT/diagnosis.png."
        ),
    ] = False,
    errors: Annotated[
        Literal["strict", "replace"] | None,
        typer.Option(help="Invalid UTF-8: stop, or U+FFFD. [strict]", show_default=False),
    ] = None,
    export: Annotated[
        bool, typer.Option("--export/--no-export", help="Make the ONNX graphs at the end.")
    ] = True,
) -> None:
    """Train a model on text, and export it.

    Within a budget of minutes or of epochs; the best weights on the held-out text are kept.
    Ctrl-C or a crash loses nothing but the time since the last checkpoint: --resume goes on.
    The same options, with underscores, are the keys of a TOML file for --config.
    """
    chosen = locals()
    with needs_extra("train"):
        import lmscore.train
        from lmscore.train.workers import rank_of_process
    fields = [field.name for field in dataclasses.fields(lmscore.train.TrainOptions)]
    given = {name: chosen[name] for name in fields if name in chosen}
    given["train"], given["valid"] = tuple(files or ()), tuple(valid or ())
    given["cutoffs"] = _ids(cutoffs)
    given["output"] = None if output is None else str(output)
    given = {name: value for name, value in given.items() if value not in (None, ())}
    options = _options(given, config, resume=resume)
    if rank_of_process() > 0:  # one of several that torchrun started: the first one speaks
        lmscore.train.train(options, resume=resume)
        return
    with _notes(), _diagnosis(options, diagnose), Progress("training", total=1.0) as bar:
        report = functools.partial(_show, bar)
        bundle = lmscore.train.train(options, resume=resume, report=report)
    streams.write(_summary(bundle))
    if export:
        from lmscore.export import export_model

        streams.write(certificate(export_model(bundle.path), (FP32, INT8)))


def _ids(text: str | None) -> tuple[int, ...]:
    try:
        return tuple(map(int, text.split(","))) if text is not None else ()
    except ValueError as error:
        raise OptionError(
            f"--cutoffs is {text!r}, expected ids with commas between them"
        ) from error


def _options(given: dict[str, Any], config: Path | None, *, resume: bool) -> TrainOptions:
    from lmscore.train import make_options, read_toml, resumed_options

    if not resume:
        values = read_toml(config) if config is not None else {}
        if "epochs" in given or "minutes" in given:  # a budget replaces the file's
            values = {k: v for k, v in values.items() if k not in ("epochs", "minutes")}
        return make_options({**values, **given})
    if config is not None:
        raise OptionError("--resume goes on with the options the run was started with: no --config")
    if "output" not in given:
        raise OptionError("--resume needs --output, the directory of the run")
    return resumed_options(given.pop("output"), given)


@contextmanager
def _diagnosis(options: TrainOptions, wanted: bool) -> Iterator[None]:
    """Draw the run when it is over, and all the more when it failed."""
    from lmscore.cli.diagrams import check_drawing, draw_diagnosis

    if not wanted:
        yield
        return
    check_drawing()
    try:
        yield
    finally:
        if picture := draw_diagnosis(Path(options.output)):
            streams.note(f"{picture}: how the training went")
        else:
            streams.note("--diagnose: the training ended before anything was recorded")


def _summary(bundle: Bundle) -> str:
    from lmscore.train.card import held_out_sentence

    return f"{bundle.path}: {held_out_sentence(bundle.config)}\n"


def _show(bar: Progress, status: Status) -> None:
    text = f"loss {status.loss:.3f}  perplexity {status.perplexity:.1f}"
    text += f"  {status.tokens_per_second:,.0f} tokens/s"
    if status.held_out_perplexity is not None:
        text += f"  held-out perplexity {status.held_out_perplexity:.1f}"
    bar.update(status.progress, text, seconds_left=status.seconds_left)


@contextmanager
def _notes() -> Iterator[None]:
    """The library's log as notes on standard error."""
    log, handler = logging.getLogger("lmscore"), _Notes()
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        streams.note(record.getMessage())
