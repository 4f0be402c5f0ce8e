"""`train`: from text files to a model directory."""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from lmscore.bundle import (
    CHECKPOINTS,
    CONFIG_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    Bundle,
    save_weights,
)
from lmscore.errors import OptionError, OutputFileError
from lmscore.files import make_directory, open_input, remove_temporary_files
from lmscore.locks import lock_file
from lmscore.runtime.text import TextTokenizer
from lmscore.train.best import BEST
from lmscore.train.card import model_card
from lmscore.train.cells import start_from_identity
from lmscore.train.checkpoint import checkpoints
from lmscore.train.corpus import Corpus
from lmscore.train.device import torch_device
from lmscore.train.dropout import Rates
from lmscore.train.evaluate import held_out, held_out_batches, mean_log_z
from lmscore.train.heads import SelfNormalisedHead
from lmscore.train.inherit import load_initial_weights, load_weights_into
from lmscore.train.memory import explained_shortage, keep_freed_memory
from lmscore.train.metrics import import_summary_writer
from lmscore.train.network import RecurrentLM
from lmscore.train.options import TrainOptions
from lmscore.train.precision import matrix_dtype
from lmscore.train.prepare import CORPUS, Prepared, prepare, with_normalization
from lmscore.train.pretrained import load_embeddings
from lmscore.train.record import check_unused, write_options
from lmscore.train.sampled import SampledSoftmax
from lmscore.train.samples import make_parity
from lmscore.train.status import Measuring, Status
from lmscore.train.summary import training_summary
from lmscore.train.teachers import check_teachers, load_teachers
from lmscore.train.texts import RunText
from lmscore.train.trainer import Trainer
from lmscore.train.workers import Workers, joined_workers

LOCK_FILE = ".lock"
"""The file in a training directory that a process locks while it trains there."""

_SAMPLE_TOKENS = 1 << 16  # the held-out tokens over which log Z is averaged

_log = logging.getLogger("lmscore")


def train(
    options: TrainOptions,
    *,
    resume: bool = False,
    finish: bool = False,
    report: Callable[[Status], None] = lambda _: None,
) -> Bundle:
    """Train a model and write its directory; `export_model` makes the graphs from it.

    Args:
        options: the options of the run; from `resumed_options` if the run is resumed.
        resume: go on from the last checkpoint in the output directory.
        finish: with `resume`: train no more, and make the model of the best weights so far.
        report: called after every update, and while the best weights are measured at the end.

    Returns:
        The model directory, with the best weights on the held-out text.

    Raises:
        OptionError, DeviceError, MissingExtraError: an option asks for the impossible.
        InputError, InputFileError, OutputFileError: a file, or its text, cannot be used.
        ModelError: a file of the resumed run is damaged.
        TrainingError: the loss is no longer finite, or memory is short.
        KeyboardInterrupt: Ctrl-C; a checkpoint was written, and `resume` goes on from it.
    """
    if options.direction == "both":
        raise OptionError("direction='both' makes two models: call train_both")
    folder, device = Path(options.output), torch_device(options.device)
    with joined_workers(device) as workers, explained_shortage(), ExitStack() as stack:
        if workers.is_first:
            _check(folder, options, device, resume=resume, finish=finish)
            if finish and not checkpoints(folder / CHECKPOINTS):
                raise OptionError(f"{folder}: no checkpoint in it yet, so nothing to finish")
            make_directory(folder)
            stack.enter_context(_locked(folder))
            _remove_leftovers(folder, options, resume=resume)
            write_options(folder, options)  # so that a run that is killed from now on can go on
            options = with_normalization(folder, options)
            write_options(folder, options)
        _set_up_process(options)
        prepared = _prepare(folder, options, workers, resume=resume)
        trainer = Trainer(
            options,
            _network(prepared, options).to(device),
            prepared.train,
            prepared.valid,
            stand_ins=prepared.stand_ins,
            teachers=None if finish else load_teachers(options, folder, prepared.config, device),
            resume=resume,
            workers=workers,
            keep_best=lambda best: _keep(Bundle(folder, prepared.config), best),
            report=report,
        )
        if finish:
            trainer.finish()
        else:
            trainer.run()
        if workers.is_first:
            _finish(Bundle(folder, prepared.config), trainer, prepared, report)
        workers.wait()
        return Bundle.read(folder)


def _keep(bundle: Bundle, best: RecurrentLM) -> None:
    """Save the best weights; the graphs and figures of others before them hold no longer."""
    bundle.write_config()
    save_weights(bundle.path, best.to_weights())


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other runs out of a training directory; the lock file is removed at the end.

    Raises OutputFileError if another process trains in it, or the folder cannot be written.
    """
    path = folder / LOCK_FILE
    try:
        file = open(path, "ab")  # noqa: SIM115  # closed below
    except OSError as error:
        raise OutputFileError(f"{folder}: cannot be written: {error.strerror}") from error
    with file:
        lock_file(file.fileno(), path, of=folder)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _check(
    folder: Path, options: TrainOptions, device: torch.device, *, resume: bool, finish: bool
) -> None:
    """Find problems with the options, and with the files that will be read, before one is written.

    A checkpoint holds what a run began with, and the end of a run learns from nobody.
    """
    matrix_dtype(options.precision, device)
    begins = not checkpoints(folder / CHECKPOINTS)
    if not resume:
        check_unused(folder, options.tokenizer)
    elif begins and _is_finished(folder):
        raise OptionError(
            f"{folder}: the run is finished, and its checkpoints were removed, so it cannot go on; "
            "go on from its weights in another directory: `init_from`"
        )
    if options.init_from and begins:
        Bundle.read(options.init_from).file(WEIGHTS_FILE)  # or an error now
    if not finish:
        check_teachers(options)
    RunText(options).check_readable()
    if options.embeddings and begins:
        with open_input(options.embeddings):
            pass  # or an error now
    if options.tensorboard:
        import_summary_writer()  # or an error now, not after an hour of tokenising


def _is_finished(folder: Path) -> bool:
    return (folder / CONFIG_FILE).is_file() and bool(Bundle.read(folder).config.training)


def _prepare(folder: Path, options: TrainOptions, workers: Workers, *, resume: bool) -> Prepared:
    """Tokenise the text; the other workers open the files that the first one wrote."""
    if workers.is_first:
        prepared = prepare(folder, options, resume=resume)
        if not (resume and (folder / CONFIG_FILE).is_file()):
            Bundle(folder, prepared.config).write_config()
    workers.wait()
    if not workers.is_first:
        prepared = prepare(folder, options, resume=True)
    return prepared


def _set_up_process(options: TrainOptions) -> None:
    keep_freed_memory()
    # cuDNN copies the recurrent weights together at every step, which costs little, and warns.
    warnings.filterwarnings("ignore", message="RNN module weights are not part of single contig")
    torch.manual_seed(options.seed)
    if options.threads is not None:
        torch.set_num_threads(options.threads)


def _remove_leftovers(folder: Path, options: TrainOptions, *, resume: bool) -> None:
    """Remove partial files of a killed run.

    A new run removes a tokenizer that other options may have made, from a run that never came to
    training.
    """
    for place in (folder, folder / CORPUS):
        remove_temporary_files(place)
    for path in (*(folder / CHECKPOINTS).glob(".step-*.tmp"), *(folder / BEST).glob(".loss-*.tmp")):
        shutil.rmtree(path)
    tokenizer = folder / TOKENIZER_FILE
    if not resume and tokenizer.resolve() != Path(options.tokenizer).resolve():
        tokenizer.unlink(missing_ok=True)


def _network(prepared: Prepared, options: TrainOptions) -> RecurrentLM:
    config, corpus = prepared.config, prepared.train
    network = RecurrentLM(config, _rates(options))
    if isinstance(network.head, SelfNormalisedHead):
        network.head.self_normalize = options.self_normalize
    if options.sampled_softmax:
        frequencies = torch.from_numpy(corpus.token_counts(config.vocab_size))
        network.head.sampled = SampledSoftmax(frequencies, options.sampled_softmax)
    if checkpoints(Path(options.output) / CHECKPOINTS):
        return network  # the trainer restores it
    if options.init_from:
        load_initial_weights(network, options, corpus.token_counts(config.vocab_size))
        return network
    if options.recurrent_init == "identity":
        start_from_identity(network.layers)
        if network.encoder is not None:
            start_from_identity(network.encoder.layers)
    if options.embeddings:
        bundle = Bundle(Path(options.output), config)
        tokenizer = TextTokenizer.load(bundle, trust=options.trust)
        load_embeddings(network, options.embeddings, tokenizer)
    counts = corpus.token_counts(config.vocab_size)
    if prepared.stand_ins is not None:
        counts[prepared.stand_ins.unk] += prepared.stand_ins.expected
    network.head.set_bias(torch.from_numpy(counts))
    return network


def _rates(options: TrainOptions) -> Rates:
    rate = options.dropout
    return Rates(
        embedding=rate if options.input_dropout is None else options.input_dropout,
        layers=rate if options.layer_dropout is None else options.layer_dropout,
        output=rate,
        words=options.word_dropout,
        weights=options.weight_drop,
    )


def _finish(
    bundle: Bundle, trainer: Trainer, prepared: Prepared, report: Callable[[Status], None]
) -> None:
    valid = prepared.valid.whole
    trained = trainer.position.seconds / 60
    _log.info(
        "trained for %.1f minutes; the best weights are now measured on all %s held-out tokens",
        *(trained, f"{valid.counts.tokens:,}"),
    )
    network = trainer.network.eval()
    load_weights_into(network, bundle)  # the best ones
    if network.config.head_spec.has_scores:
        _center(network, valid)
        save_weights(bundle.path, network.to_weights())
    make_parity(network, valid).save(bundle.path)
    measuring = Measuring(valid.counts.tokens, trainer.position.step, report)
    summary = training_summary(
        trainer, prepared, held_out(network, prepared.valid, report=measuring.add)
    )
    bundle = Bundle(bundle.path, replace(bundle.config, training=summary))
    bundle.write_card(model_card(bundle.config))
    bundle.write_config()


def _center(network: RecurrentLM, valid: Corpus) -> None:
    """Subtract the mean of log Z from the bias; the softmax stays the same."""
    sample = held_out_batches(valid, network.config, _SAMPLE_TOKENS)
    with torch.no_grad():
        network.head.bias.sub_(mean_log_z(network, sample))
