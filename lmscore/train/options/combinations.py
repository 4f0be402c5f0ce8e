"""Options of a training run that do not go together."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from lmscore.bundle import CELLS, HEADS, LARGEST_HEAD, head_size
from lmscore.errors import OptionError

if TYPE_CHECKING:
    from lmscore.train.options.train_options import TrainOptions

NT_ASGD_PATIENCE = 5
"""The number of evaluations, as in Merity et al. 2017."""


def check_combinations(options: TrainOptions) -> None:
    """Raise OptionError if options contradict each other."""
    if not options.train:
        raise OptionError("train: no text file given")
    if options.vocabulary is not None and options.tokenizer != "word":
        raise OptionError("vocabulary is a list of words: give tokenizer='word'")
    if options.extend_vocabulary is not None and options.init_from is None:
        raise OptionError("extend_vocabulary is of the model that init_from names")
    if options.extend_vocabulary is not None and options.output_layer == "classes":
        raise OptionError("extend_vocabulary adds no words to output_layer classes")
    if options.valid_share is not None and options.valid:
        raise OptionError("valid_share is of the text to train on: not with valid")
    if options.epochs is not None and options.minutes is not None:
        raise OptionError("give a budget in epochs or in minutes, not both")
    if options.embeddings is not None and options.init_from is not None:
        raise OptionError("embeddings are of a new model: init_from brings its own")
    _check_pairs(options)
    _check_cell(options)
    _check_optimisation(options)
    if options.direction == "both" and options.teacher:
        raise OptionError("a teacher reads one direction: train both, each with its own")
    if options.direction != "forward" and options.context == "document":
        raise OptionError("a backward model reads sentence by sentence: context is sentence")
    _check_output(options)
    if options.unk_token in (options.bos_token, options.eos_token):
        raise OptionError("unk_token must differ from bos_token and eos_token")


def _check_pairs(options: TrainOptions) -> None:
    if options.prefix_field is None:
        if options.reverse_prefix:
            raise OptionError("reverse_prefix is of the prefix that prefix_field names")
        if options.separate:
            raise OptionError("separate is of the prefix that prefix_field names")
        return
    if options.separate and not CELLS[options.cell].is_recurrent:
        raise OptionError(f"separate passes a state on, and the cell {options.cell} has none")
    for name, excluded in (
        ("context='document'", options.context == "document"),
        (f"direction={options.direction!r}", options.direction != "forward"),
        ("init_from", options.init_from is not None),
        (f"split={options.split!r}", options.split not in (None, "none")),
    ):
        if excluded:
            raise OptionError(f"prefix_field learns pairs, each on its own: not with {name}")


def _check_output(options: TrainOptions) -> None:
    head = HEADS.get((options.output_layer, options.self_normalize > 0))
    if head is None:
        raise OptionError(
            "classes are normalised exactly: give output_layer classes, or self_normalize"
        )
    if head.has_classes and options.label_smoothing:
        raise OptionError("label_smoothing is for one softmax: not with output_layer classes")
    if options.sampled_softmax and not head.can_be_sampled:
        raise OptionError(
            "sampled_softmax estimates a plain softmax: not with output_layer classes or "
            "self_normalize"
        )
    if options.teacher and not head.can_be_sampled:
        raise OptionError(
            "teacher is compared with a plain softmax: not with output_layer classes or "
            "self_normalize"
        )
    if options.cutoffs and not head.has_classes:
        raise OptionError("cutoffs are for output_layer classes")
    if any(begin >= end for begin, end in itertools.pairwise((0, *options.cutoffs))):
        raise OptionError(f"cutoffs are {list(options.cutoffs)}, expected rising ids above 0")


def _check_cell(options: TrainOptions) -> None:
    cell = CELLS[options.cell]
    if options.window_size is not None and cell.is_recurrent:
        raise OptionError(f"window_size is for the cell window, not {options.cell}; leave it out")
    if options.weight_drop and not cell.has_recurrent_matrix:
        raise OptionError(
            f"weight_drop is of recurrent weights, and the cell {options.cell} has none"
        )
    H = options.hidden_size
    if cell.has_heads and H > LARGEST_HEAD and head_size(H) < LARGEST_HEAD // 2:
        raise OptionError(
            f"hidden_size is {H}, which does not divide into heads of {LARGEST_HEAD // 2} to "
            f"{LARGEST_HEAD} units: for the cell {options.cell} give a multiple of {LARGEST_HEAD}"
        )
    if options.recurrent_init == "identity" and not cell.is_elman:
        raise OptionError(f"recurrent_init identity is for the rnn cells, not {options.cell}")


def _check_optimisation(options: TrainOptions) -> None:
    if options.random_bptt and options.context != "document":
        raise OptionError("random_bptt cuts a document into batches: context must be document")
    for name, waits in (
        ("patience", options.patience is not None),
        ("schedule plateau", options.schedule == "plateau"),
    ):
        if waits and options.evaluations == 0:
            raise OptionError(
                f"{name} waits for evaluations without gain: evaluations is 0, give 20, say"
            )
    if options.average == "nt-asgd" and options.evaluations <= NT_ASGD_PATIENCE + 1:
        raise OptionError(
            "average nt-asgd begins when the held-out loss is worse than one of more than "
            f"{NT_ASGD_PATIENCE} evaluations before: evaluations is {options.evaluations}, give "
            "20, say"
        )
