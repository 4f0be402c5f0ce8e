"""`lmscore ngram`: n-gram models counted, approximated, pruned and mixed, in ARPA files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmscore.cli import options, streams
from lmscore.cli.outfile import check_not_read
from lmscore.cli.records import TextInput, note_bad_records
from lmscore.cli.scored_records import input_progress
from lmscore.cli.usage import UsageError, command_line
from lmscore.errors import InputError, ModelError
from lmscore.names import Smoothing

if TYPE_CHECKING:
    from lmscore.runtime.ngram import NgramModel

HELP = "Make, prune and mix n-gram models in ARPA files."

_MAX_ORDER = 6
_ID = re.compile("[0-9]{1,9}")
_SAMPLES = 1024  # drawn at a time
_NO_TOKENS = {"<blk>", "<eps>", "<s>", "</s>", "<sos/eos>"}  # in lists of tokens, and no words

Order = Annotated[
    int, typer.Option(metavar="N", min=1, max=_MAX_ORDER, help="Words of the longest n-grams.")
]
SmoothingOption = Annotated[
    Smoothing,
    typer.Option(
        help="kneser-ney is interpolated and modified, as in KenLM's lmplz; mle does not smooth."
    ),
]
Prune = Annotated[
    str | None,
    typer.Option(
        metavar="N,N,...",
        help="Leave out n-grams that occur so often or less, order by order: 0,0,1; the last "
        "number is that of all higher orders.",
    ),
]
Fallback = Annotated[
    bool,
    typer.Option(
        "--discount-fallback", help="Take discounts 0.5, 1, 1.5 where the counts give none."
    ),
]
Arpa = Annotated[
    Path,
    typer.Option("-o", "--output", metavar="FILE", help="The ARPA file; .gz and .xz compress it."),
]
Temporary = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="Where n-grams are sorted; about 60 bytes a word of text. Default: the system's.",
    ),
]


def train(
    *,
    text: TextInput,
    output: Arpa,
    order: Order = 3,
    smoothing: SmoothingOption = "kneser-ney",
    prune: Prune = None,
    discount_fallback: Fallback = False,
    k: Annotated[
        float | None, typer.Option(metavar="X", help="What add-k adds to each count. Default: 1.")
    ] = None,
    vocabulary: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The words of the model; any other is <unk>."),
    ] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="Count tokens: a model directory, or its tokenizer.json."
        ),
    ] = None,
    ids: Annotated[
        bool, typer.Option("--ids", help="Spell tokens of --tokenizer as their ids.")
    ] = False,
    temporary: Temporary = None,
    quiet: options.Quiet = False,
) -> None:
    """Count the n-grams of a text, and write a model of them as an ARPA file.

    Each line is a sentence between <s> and </s>, of words between white space; --split finds the
    sentences of other records. The n-grams are sorted on disk.
    """
    if k is not None and smoothing != "add-k":
        raise UsageError("--k is for --smoothing add-k")
    thresholds = _thresholds(prune, order, smoothing, 1.0 if k is None else k)
    if ids and tokenizer is None:
        raise UsageError("--ids is for --tokenizer")
    if text.on_error == "keep":
        raise UsageError("--on-error keep is for score: a record that cannot be read has no words")
    text.check_apart("n-grams")
    with command_line():
        check_not_read(output, text.paths)
    from lmscore.files import read_lines
    from lmscore.runtime.ngram import count_ngrams, estimate

    known = None
    if vocabulary is not None:
        known = [word for line in read_lines(vocabulary) for word in line.split()]
    sentences = _tokens(_lines(text), tokenizer, ids=ids)
    counts = count_ngrams(sentences, order, vocabulary=known, directory=temporary)
    model = estimate(
        counts,
        smoothing,
        prune=thresholds,
        discount_fallback=discount_fallback,
        k=1.0 if k is None else k,
    )
    _write(model, output, quiet=quiet)


def approximate(
    *,
    model: options.ModelOptions,
    output: Arpa,
    sentences: Annotated[
        int, typer.Option(metavar="N", min=1, help="How many sentences are drawn.")
    ] = 100_000,
    order: Order = 3,
    smoothing: SmoothingOption = "kneser-ney",
    prune: Prune = None,
    discount_fallback: Fallback = False,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Draw the same ones again.")] = 1,
    max_tokens: Annotated[
        int, typer.Option(metavar="N", min=1, help="Cut a sentence that has not ended by then.")
    ] = 100,
    temporary: Temporary = None,
    quiet: options.Quiet = False,
) -> None:
    """Approximate a recurrent model by an n-gram model of sentences that it draws.

    For the first pass of a recogniser, which cannot run a recurrent model. The more sentences, the
    closer; a sentence that is cut counts as ended.
    """
    thresholds = _thresholds(prune, order, smoothing)
    from lmscore.runtime.ngram import count_ngrams, estimate

    drawn = _drawn(model, sentences, seed, max_tokens)
    counts = count_ngrams((text.split() for text in drawn), order, directory=temporary)
    made = estimate(counts, smoothing, prune=thresholds, discount_fallback=discount_fallback)
    _write(made, output, quiet=quiet)


def prune_model(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="An ARPA file.")],
    *,
    output: Arpa,
    threshold: Annotated[
        float,
        typer.Option(
            metavar="X",
            help="Leave out n-grams whose loss raises the perplexity by less than this share.",
        ),
    ] = 1e-8,
    quiet: options.Quiet = False,
) -> None:
    """Leave out the n-grams of a model that change it least (Stolcke 1998).

    Words stay, and so do n-grams that longer ones begin with.
    """
    if not 0 < threshold < float("inf"):
        raise UsageError(f"--threshold must be above 0, not {threshold}")
    with command_line():
        check_not_read(output, [model])
    from lmscore.runtime.ngram import pruned_by_entropy, read_arpa

    _write(pruned_by_entropy(read_arpa(model), threshold), output, quiet=quiet)


def mix(
    models: Annotated[list[str], typer.Argument(metavar="MODEL", help="ARPA files.")],
    *,
    output: Arpa,
    weights: Annotated[
        str | None,
        typer.Option(metavar="X,X,...", help="The share of each model. Default: equal shares."),
    ] = None,
    fit: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Held-out text: take the weights that suit it best."),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Interpolate several models into one, which has the n-grams of all of them.

    Every n-gram has the weighted mean of its probabilities; a model that does not know a word
    gives it none. --fit finds the weights by expectation maximisation.
    """
    if weights is not None and fit is not None:
        raise UsageError("give --weights or --fit, not both")
    if len(models) < 2:
        raise UsageError("name at least two models to mix")
    shares = (
        _numbers("--weights", weights) if weights is not None else [1 / len(models)] * len(models)
    )
    from lmscore.runtime.ngram import check_shares, interpolated, read_arpa

    with command_line():
        check_not_read(output, models)
        check_shares(shares, len(models))
    parts = [read_arpa(path) for path in models]
    if fit is not None:
        shares = _fitted(parts, fit)
        streams.note(", ".join(f"{x:.4f} {path}" for x, path in zip(shares, models, strict=True)))
    _write(interpolated(parts, shares), output, quiet=quiet)


def fst(
    *,
    model: Annotated[Path, typer.Argument(metavar="FILE", help="A bigram in an ARPA file.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The OpenFst file.")
    ],
    tokens: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The ids of the words: a token and its id a line, as tokens.txt has them. "
            "Default: the words are ids.",
        ),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Write a bigram over token ids as an automaton, for LODR in icefall and sherpa-onnx.

    Make the bigram of the recogniser's training text: lmscore ngram train --order 2 --tokenizer
    MODEL --ids. The last line says the label of the back-off arcs, which icefall asks for.
    """
    with command_line():
        check_not_read(output, [str(model)])
    from lmscore.files import atomic_write_bytes
    from lmscore.runtime.ngram import bigram_fst, read_arpa, token_ids

    ngrams = read_arpa(model)
    try:
        data, back_off = bigram_fst(ngrams, _ids(tokens) if tokens else token_ids(ngrams))
    except ModelError as error:
        raise ModelError(f"{model}: {error}") from error
    atomic_write_bytes(output, data)
    if not quiet:
        streams.note(f"{output}: {len(data):,} bytes; back-off arcs have the label {back_off}")


def _ids(path: Path) -> dict[str, int]:
    """The ids of tokens in a list, marks of sentences, blanks and #0 left out."""
    from lmscore.files import read_lines

    found = {}
    for number, line in enumerate(read_lines(path), 1):
        fields = line.rsplit(maxsplit=1)
        if len(fields) != 2 or not _ID.fullmatch(fields[1]):
            raise InputError(f"{path}, line {number}: expected a token and its id")
        if fields[0] not in _NO_TOKENS and not fields[0].startswith("#"):
            found[fields[0]] = int(fields[1])
    return found


def _fitted(models: Sequence[NgramModel], path: str) -> list[float]:
    """The shares of a mixture under which a text is most probable."""
    from lmscore.files import read_lines
    from lmscore.runtime.ngram import word_log_probs
    from lmscore.runtime.rescoring.models import fit_to

    fit = fit_to(word_log_probs(models, [line.split() for line in read_lines(path)]))
    streams.note(f"{path}: {fit}")
    return list(fit.weights)


def _thresholds(prune: str | None, order: int, smoothing: Smoothing, k: float = 1.0) -> list[int]:
    """The counts up to which n-grams are left out, a number for each order or fewer."""
    numbers = [] if prune is None else _numbers("--prune", prune)
    if not all(number.is_integer() for number in numbers):
        raise UsageError(f"--prune {prune}: expected whole numbers")
    from lmscore.runtime.ngram import check_smoothing

    thresholds = list(map(int, numbers))
    with command_line(k="--k", prune="--prune", smoothing="--smoothing"):
        check_smoothing(smoothing, order, prune=thresholds, k=k)
    return thresholds


def _numbers(option: str, given: str) -> list[float]:
    try:
        return [float(number) for number in given.replace(",", " ").split()]
    except ValueError:
        raise UsageError(f"{option} {given}: expected numbers with commas between them") from None


def _lines(text: TextInput) -> Iterator[str]:
    """The sentences of the input, under a progress bar."""
    from lmscore.runtime.text import split_text

    done, split, bad = 0, text.splits(), text.bad_records()
    with input_progress("counting", text.paths, data_on_stdout=False) as progress:
        for record in text.records(bad=bad):
            done += record.size
            progress.update(done)
            yield from split_text(record.text, split, text.language)
    note_bad_records(bad.count)


def _tokens(lines: Iterable[str], tokenizer: Path | None, *, ids: bool) -> Iterator[Sequence[str]]:
    if tokenizer is None:
        return map(str.split, lines)
    from lmscore.runtime.text import SpellingTokenizer

    return SpellingTokenizer(tokenizer, ids=ids).tokens(lines)


def _drawn(model: options.ModelOptions, count: int, seed: int, max_tokens: int) -> Iterator[str]:
    """Sentences that a model draws, some at a time, each part by a seed of its own."""
    from lmscore.cli.progress import Progress

    lm = model.load()
    with Progress("sampling", total=count) as progress:
        for part, first in enumerate(range(0, count, _SAMPLES)):
            size = min(_SAMPLES, count - first)
            part_seed = (seed << 32) + part
            samples = lm.sample(num_samples=size, seed=part_seed, max_tokens=max_tokens)
            yield from (sample.text for sample in samples)
            done = first + size
            progress.update(done, f"{done / progress.seconds:,.0f} sentences/s")


def _write(model: NgramModel, output: Path, *, quiet: bool) -> None:
    """Write a model, and say how large it is."""
    from lmscore.runtime.ngram import arpa_text, write_arpa

    if str(output) == "-":
        for text in arpa_text(model):
            streams.write(text)
        streams.flush()
    else:
        write_arpa(model, output)
    if not quiet:
        sizes = (f"{len(table):,} {n}-grams" for n, table in enumerate(model.tables, 1))
        streams.note(f"{output}: {', '.join(sizes)}")
