"""The options of a training run.

`TrainOptions` states each option once: its type, default, bounds and help, and its form on the
command line and in a TOML file. Needs no PyTorch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from lmscore.names import (
    Cell,
    Context,
    Direction,
    InputFormat,
    Optimizer,
    Order,
    OutputLayer,
    Precision,
    RecurrentInit,
    Schedule,
    Split,
    Utf8Errors,
)
from lmscore.train.options.combinations import check_combinations
from lmscore.train.options.declaration import Bounds, Field, Option, check_each, fields_of
from lmscore.train.options.effect import without_effect

NORMALIZATION_STEPS = (
    "punctuation",
    "nfc",
    "nfkc",
    "detokenize",
    "accents",
    "digits",
    "lowercase",
)
"""The steps that `normalization` may name, in the order in which they are applied."""

_STEP = f"({'|'.join(NORMALIZATION_STEPS)})"
_NORMALIZATION = rf"auto|none|{_STEP}(\+{_STEP})*"

_COUNT = Bounds(at_least=1)
_POSITIVE = Bounds(above=0)
_NOT_NEGATIVE = Bounds(at_least=0)
_SHARE = Bounds(at_least=0, below=1)


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """The options of one training run; every field is also a key of the TOML file."""

    train: Annotated[
        tuple[str, ...],
        Option(
            "Text to train on, one sentence per line, or records of another kind; packed files are "
            "unpacked. FILE:3 reads its lines three times in each "
            "epoch, FILE:0.5 half of them, drawn each time.",
            "FILE",
            path=True,
        ),
    ]
    output: Annotated[
        str, Option("Model directory to write.", "DIR", flags=("-o", "--output"), path=True)
    ]
    valid: Annotated[
        tuple[str, ...],
        Option(
            "Held-out text; may be given again. NAME=FILE names it, so that several are reported "
            "apart. Default: lines of the text to train on, which are then not trained on.",
            "FILE",
            path=True,
            named=True,
        ),
    ] = ()
    valid_share: Annotated[
        float | None,
        Option(
            "Share of the lines that are held out, drawn at random; in document context they are "
            "blocks of lines.",
            "P",
            Bounds(above=0, below=1),
            default="0.01, of a short text up to 0.1",
        ),
    ] = None
    choose_by: Annotated[
        str | None,
        Option(
            "Name of the held-out text whose perplexity chooses the weights.",
            "NAME",
            default="all together",
        ),
    ] = None
    input_format: Annotated[
        InputFormat | None,
        Option(
            "text; tsv: id<TAB>text; csv; jsonl: an object per line; json: an array; parquet; "
            "arrow. Default: by the ending of the name, else text.",
            "KIND",
        ),
    ] = None
    field: Annotated[
        str | None,
        Option("The column or key of the text; doc.text reaches inside.", "NAME", default="text"),
    ] = None
    prefix_field: Annotated[
        str | None,
        Option(
            "Learn pairs: the column or key of the text that comes before; the loss is on the "
            "text alone.",
            "NAME",
        ),
    ] = None
    reverse_prefix: Annotated[
        bool, Option("Read the text that comes before from its end; with --prefix-field.")
    ] = False
    columns: Annotated[
        tuple[str, ...],
        Option(
            "Name of a column of CSV or TSV whose first line does not name them; given once for "
            "each column, in their order.",
            "NAME",
        ),
    ] = ()
    encoding: Annotated[
        str | None, Option("Encoding of files without a byte-order mark.", "NAME", default="utf-8")
    ] = None
    split: Annotated[
        Split | None,
        Option(
            "What a record is split into: its lines, its sentences (extra sentences), or nothing.",
            default="lines, of plain text none",
        ),
    ] = None
    on_error: Annotated[
        Literal["stop", "skip"],
        Option(
            "What a record that cannot be read does: stop the run, or be skipped.", resumable=True
        ),
    ] = "stop"
    # The budget: epochs or minutes; 10 epochs if neither is given.
    minutes: Annotated[
        float | None,
        Option(
            "Budget in minutes; the schedule follows the clock.", "N", _POSITIVE, resumable=True
        ),
    ] = None
    epochs: Annotated[
        float | None,
        Option("Budget in passes through the text. Default: 10.", "N", _POSITIVE, resumable=True),
    ] = None

    init_from: Annotated[
        str | None,
        Option(
            "Go on from this model: its weights, tokenizer and sizes. A lower --learning-rate "
            "suits (0.001).",
            "MODEL",
            path=True,
        ),
    ] = None
    extend_vocabulary: Annotated[
        int | None,
        Option(
            "Add up to N words, characters or pieces of the text to the vocabulary of --init-from "
            "MODEL, which keeps its own; --min-count leaves out rare ones.",
            "N",
            _COUNT,
        ),
    ] = None
    tokenizer: Annotated[
        str,
        Option(
            "Kind of tokenizer to train: bpe, unigram, word, or char; or a tokenizer.json or "
            "SentencePiece model to use.",
            "KIND",
            path=True,
        ),
    ] = "bpe"
    vocabulary: Annotated[
        str | None,
        Option(
            "List of the words to know, one a line, with or without ids or counts; their order "
            "and case are kept, also of words that the text lacks.",
            "FILE",
            path=True,
        ),
    ] = None
    trust: Annotated[
        bool,
        Option(
            "Take a tokenizer.json whatever its steps may do to a text; the model then needs "
            "--trust wherever it is loaded."
        ),
    ] = False
    approximate_tokenizer: Annotated[
        bool,
        Option(
            "Take a unigram SentencePiece model, too, whose pieces come in another order on about "
            "1 of 10,000 lines."
        ),
    ] = False
    vocab_size: Annotated[
        int,
        # The BPE trainer allocates them all at once.
        Option(
            "Tokens of the vocabulary at most, special ones included.",
            "V",
            Bounds(at_least=1, below=1 << 24),
        ),
    ] = 8192
    min_count: Annotated[
        int,
        Option(
            "Occurrences that a word (word) or character (char) needs; rarer ones become <unk>.",
            "N",
            _COUNT,
        ),
    ] = 1
    unk_share: Annotated[
        float,
        Option(
            "Share of the words seen once that stand for <unk> in training, drawn again in each "
            "epoch, unless the vocabulary leaves out as many; for word and char.",
            "P",
            _SHARE,
        ),
    ] = 0.5
    normalization: Annotated[
        str,
        Option(
            f"Steps that change all text, kept in tokenizer.json: {', '.join(NORMALIZATION_STEPS)} "
            "joined by +; or none; or auto, which is punctuation if 90 % of the letters are Latin.",
            "STEP+STEP",
            pattern=_NORMALIZATION,
            allowed=f"auto, none, or {', '.join(NORMALIZATION_STEPS)} joined by +",
        ),
    ] = "auto"
    bos_token: Annotated[str, Option("The token that begins a sentence.", "NAME")] = "<s>"
    eos_token: Annotated[str, Option("The token that ends a sentence.", "NAME")] = "</s>"
    unk_token: Annotated[str, Option("The token of unknown words.", "NAME")] = "<unk>"

    context: Annotated[
        Context,
        Option("Whether lines stand on their own, or are one stream with the state carried."),
    ] = "sentence"
    direction: Annotated[
        Direction, Option("Whether sentences are read from their beginning or from their end.")
    ] = "forward"
    cell: Annotated[Cell, Option("What a layer is made of.")] = "lstm"
    hidden_size: Annotated[
        int, Option("Units of each layer, and the size of the embedding.", "H", _COUNT)
    ] = 512
    embedding_size: Annotated[
        int | None,
        Option(
            "Size of the embedding where it is another; a tied network projects H to E.",
            "E",
            _COUNT,
            default="H",
        ),
    ] = None
    embeddings: Annotated[
        str | None,
        Option(
            "Word vectors to begin with, in the text format of word2vec or GloVe; their size is "
            "--embedding-size.",
            "FILE",
            path=True,
        ),
    ] = None
    layers: Annotated[int, Option("Number of recurrent layers.", "L", _COUNT)] = 1
    window_size: Annotated[
        int | None,
        Option(
            "Number of tokens that the cell window reads at once.",
            "N",
            Bounds(at_least=2, below=1 << 10),
            default="5",
        ),
    ] = None
    residual: Annotated[
        bool, Option("From the second layer on, add a layer's input to its output.")
    ] = False
    tied: Annotated[
        bool, Option("Whether embedding and output share one matrix.", flags=("--tied/--untied",))
    ] = True
    output_layer: Annotated[
        OutputLayer,
        Option(
            "Softmax over all words; or, for big vocabularies, over frequent words and classes of "
            "the others, which are computed where they are needed (classes)."
        ),
    ] = "softmax"
    cutoffs: Annotated[
        tuple[int, ...], Option("Ids at which classes begin. Default: by their cost.", "ID,ID,...")
    ] = ()
    self_normalize: Annotated[
        float,
        Option(
            "Learn scores that need no softmax: A * (log Z)^2 joins the loss (0.1).",
            "A",
            _NOT_NEGATIVE,
        ),
    ] = 0.0
    sampled_softmax: Annotated[
        int,
        Option(
            "Train on the commonest tokens and N draws of the others a batch, several times as "
            "fast (1024). 0: on all.",
            "N",
            _NOT_NEGATIVE,
            resumable=True,
        ),
    ] = 0
    recurrent_init: Annotated[
        RecurrentInit, Option("First recurrent weights of rnn cells; identity is for rnn-relu.")
    ] = "orthogonal"
    dropout: Annotated[
        float,
        Option("Locked dropout on the embedding, between layers and on the output.", "P", _SHARE),
    ] = 0.2
    input_dropout: Annotated[
        float | None,
        Option("Dropout on the embedding where it is another.", "P", _SHARE, default="dropout"),
    ] = None
    layer_dropout: Annotated[
        float | None,
        Option("Dropout between layers where it is another.", "P", _SHARE, default="dropout"),
    ] = None
    word_dropout: Annotated[float, Option("Dropout of whole words on the input.", "P", _SHARE)] = (
        0.0
    )
    weight_drop: Annotated[float, Option("Dropout of recurrent weights.", "P", _SHARE)] = 0.0

    batch_size: Annotated[int, Option("Number of rows of a batch.", "B", _COUNT)] = 64
    bptt: Annotated[
        int, Option("Tokens of a row in one update, which has batch-size * bptt.", "T", _COUNT)
    ] = 35
    random_bptt: Annotated[
        bool, Option("Draw the lengths of updates around bptt, in document context.")
    ] = False
    optimizer: Annotated[Optimizer, Option("Optimizer that makes updates of gradients.")] = "adamw"
    learning_rate: Annotated[
        float, Option("Learning rate at its highest.", "R", _POSITIVE, resumable=True)
    ] = 4e-3
    schedule: Annotated[
        Schedule,
        Option(
            "Learning rate after the warm-up: half a cosine down to 0, constant, or halved after "
            "each evaluation without gain (plateau)."
        ),
    ] = "cosine"
    weight_decay: Annotated[float, Option("Weight decay of the optimizer.", "R", _NOT_NEGATIVE)] = (
        0.01
    )
    warmup: Annotated[
        float, Option("Share of the budget in which the learning rate rises.", "P", _SHARE)
    ] = 0.02
    clip: Annotated[
        float,
        Option(
            "Largest norm of the gradient; a larger one is scaled.", "N", _POSITIVE, resumable=True
        ),
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
    average_decay: Annotated[float, Option("Decay of the average ema.", "P", _SHARE)] = 0.999
    activation_penalty: Annotated[
        float, Option("Penalty on the activations of the last layer (AR).", "R", _NOT_NEGATIVE)
    ] = 0.0
    temporal_penalty: Annotated[
        float,
        Option(
            "Penalty on changes of the last layer from token to token (TAR).", "R", _NOT_NEGATIVE
        ),
    ] = 0.0
    label_smoothing: Annotated[
        float, Option("Share of the target that goes to all words alike.", "P", _SHARE)
    ] = 0.0
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
        Option("Temperature at which the teachers' distributions are compared.", "T", _POSITIVE),
    ] = 1.0
    order: Annotated[
        Order, Option("Order of the lines in an epoch: drawn anew, or as given in the files.")
    ] = "random"
    evaluations: Annotated[
        int, Option("Number of evaluations on held-out text before the last.", "N", _NOT_NEGATIVE)
    ] = 5
    patience: Annotated[
        int | None,
        Option(
            "End the training after so many evaluations without gain.", "N", _COUNT, resumable=True
        ),
    ] = None
    keep_checkpoints: Annotated[
        int, Option("Number of checkpoints to keep, the newest ones.", "N", _COUNT, resumable=True)
    ] = 1
    checkpoint_minutes: Annotated[
        float, Option("Minutes between two checkpoints.", "N", _POSITIVE, resumable=True)
    ] = 2.0
    seed: Annotated[
        int, Option("Seed of all that is random.", "N", Bounds(at_least=0, below=1 << 63))
    ] = 1
    precision: Annotated[
        Precision,
        Option("Type of matrix products; auto is bf16 where the hardware has it.", resumable=True),
    ] = "auto"
    device: Annotated[
        str,
        Option(
            "Where the training runs: auto, cpu, cuda or cuda:N.",
            "DEVICE",
            pattern="auto|(cpu|cuda)(:[0-9]+)?",
            allowed="auto, cpu, cuda or cuda:N",
            resumable=True,
        ),
    ] = "auto"
    threads: Annotated[
        int | None, Option("Number of CPU threads.", "N", _COUNT, resumable=True)
    ] = None
    tensorboard: Annotated[bool, Option("Also log for TensorBoard.", resumable=True)] = False
    errors: Annotated[
        Utf8Errors, Option("What invalid UTF-8 does: stop the run, or become U+FFFD.")
    ] = "strict"

    def __post_init__(self) -> None:
        """Check every value and the combinations; raises OptionError with the allowed values."""
        check_values(vars(self))
        check_combinations(self)

    def to_dict(self) -> dict[str, Any]:
        """The options as a dict for JSON."""
        return dataclasses.asdict(self)

    def in_force(self) -> dict[str, Any]:
        """The options that have an effect, as a dict for JSON."""
        idle = without_effect(vars(self))
        return {name: value for name, value in self.to_dict().items() if name not in idle}


def option_fields() -> Mapping[str, Field]:
    """The fields of TrainOptions by name, in their order."""
    return fields_of(TrainOptions)


def check_values(values: Mapping[str, Any]) -> None:
    """Check each value, by the name of its option, without regard to the others.

    Raises OptionError with the allowed values.
    """
    check_each(values, option_fields())
