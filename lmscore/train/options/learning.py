"""How weights are learnt: batches, the optimiser, and what keeps a model general."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from lmscore.names import Optimizer, Schedule
from lmscore.train.options.declaration import (
    COUNT,
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    Bounds,
    Option,
    OptionGroup,
)


@dataclass(frozen=True, kw_only=True)
class LearningOptions(OptionGroup):
    """Options of the updates."""

    heading: ClassVar[str] = "Learning"

    batch_size: Annotated[int, Option("Number of rows of a batch.", "B", COUNT)] = 64
    bptt: Annotated[
        int, Option("Tokens of a row in one update, which has batch-size * bptt.", "T", COUNT)
    ] = 35
    random_bptt: Annotated[
        bool, Option("Draw the lengths of updates around bptt, in document context.")
    ] = False
    optimizer: Annotated[Optimizer, Option("Optimizer that makes updates of gradients.")] = "adamw"
    learning_rate: Annotated[
        float, Option("Learning rate at its highest.", "R", POSITIVE, resumable=True)
    ] = 4e-3
    schedule: Annotated[
        Schedule,
        Option(
            "Learning rate after the warm-up: half a cosine down to 0, constant, or halved after "
            "each evaluation without gain (plateau)."
        ),
    ] = "cosine"
    warmup: Annotated[
        float, Option("Share of the budget in which the learning rate rises.", "P", SHARE)
    ] = 0.02
    weight_decay: Annotated[float, Option("Weight decay of the optimizer.", "R", NOT_NEGATIVE)] = (
        0.01
    )
    clip: Annotated[
        float,
        Option(
            "Largest norm of the gradient; a larger one is scaled.", "N", POSITIVE, resumable=True
        ),
    ] = 1.0
    dropout: Annotated[
        float,
        Option("Locked dropout on the embedding, between layers and on the output.", "P", SHARE),
    ] = 0.2
    input_dropout: Annotated[
        float | None,
        Option("Dropout on the embedding where it is another.", "P", SHARE, default="dropout"),
    ] = None
    layer_dropout: Annotated[
        float | None,
        Option("Dropout between layers where it is another.", "P", SHARE, default="dropout"),
    ] = None
    word_dropout: Annotated[float, Option("Dropout of whole words on the input.", "P", SHARE)] = 0.0
    weight_drop: Annotated[float, Option("Dropout of recurrent weights.", "P", SHARE)] = 0.0
    activation_penalty: Annotated[
        float, Option("Penalty on the activations of the last layer (AR).", "R", NOT_NEGATIVE)
    ] = 0.0
    temporal_penalty: Annotated[
        float,
        Option(
            "Penalty on changes of the last layer from token to token (TAR).", "R", NOT_NEGATIVE
        ),
    ] = 0.0
    label_smoothing: Annotated[
        float, Option("Share of the target that goes to all words alike.", "P", SHARE)
    ] = 0.0
    sampled_softmax: Annotated[
        int,
        Option(
            "Train on the commonest tokens and N draws of the others a batch, several times as "
            "fast (1024). 0: on all.",
            "N",
            NOT_NEGATIVE,
            resumable=True,
        ),
    ] = 0
    teacher: Annotated[
        tuple[str, ...],
        Option(
            "Learn from this model's distributions beside the text: a model directory, or an ARPA "
            "file of the tokens; may be given again, for the mean of several.",
            "MODEL",
            path=True,
        ),
    ] = ()
    teacher_share: Annotated[
        float,
        Option("Share of the loss that comes from the teachers.", "P", Bounds(above=0, below=1)),
    ] = 0.5
    temperature: Annotated[
        float,
        Option("Temperature at which the teachers' distributions are compared.", "T", POSITIVE),
    ] = 1.0
    average: Annotated[
        str,
        Option(
            "Average of the weights that is evaluated and kept: over the updates (ema, asgd, "
            "nt-asgd), of the N best evaluations (best:N), or none.",
            "KIND",
            pattern="none|ema|asgd|nt-asgd|best:[1-9][0-9]{0,3}",
            allowed="none, ema, asgd, nt-asgd, or best:N",
        ),
    ] = "none"
    average_decay: Annotated[float, Option("Decay of the average ema.", "P", SHARE)] = 0.999
