"""`lmscore features`: hidden states of texts, for a classifier or tagger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmscore.cli import options, streams
from lmscore.cli.feature_files import check_feature_file, open_feature_file
from lmscore.cli.outfile import check_not_read
from lmscore.cli.records import TextInput, note_bad_records
from lmscore.cli.scored_records import describe, with_progress
from lmscore.cli.usage import UsageError
from lmscore.names import FeatureUnit, Pool

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lmscore.corpus.reading import Record
    from lmscore.runtime.model import LanguageModel


def features(
    *,
    per: Annotated[FeatureUnit, typer.Option(help="What has a feature.")] = "sentence",
    pool: Annotated[
        Pool, typer.Option(help="How the tokens of a word or sentence are joined.")
    ] = "mean",
    layers: Annotated[
        str,
        typer.Option(metavar="N,N,...", help="The layers, from 0; -1 is the last one."),
    ] = "-1",
    model: options.ModelOptions,
    directions: options.DirectionOptions,
    text: TextInput,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE", help="The file: .npy or .parquet."),
    ],
    quiet: options.Quiet = False,
) -> None:
    """Write the hidden states of texts to a file: float32, a row for each text, word or token.

    The feature of a token is the output of the layers after it was read. An .npy file has the rows
    alone, in their order; a .parquet file has the number of the text, its id, the index in it and
    the text of the token or word beside them. With --backward both models' features stand beside
    each other.
    """
    model, directions = directions.of_folder(model)
    directions.check(unigram=directions.unigram)
    check_feature_file(output)
    check_not_read(output, text.paths)
    chosen = _layers(layers)
    if text.on_error == "keep":
        raise UsageError("--on-error keep is for score: a record that cannot be read has no row")
    text.splits(apart="features")
    text.check_apart("features")
    bad = text.bad_records()
    records = text.records(bad=bad)
    lm = model.load()
    source = directions.join(lm, model) or lm

    def found(read: Iterable[Record]) -> Iterator[tuple[Record, NDArray[np.float32]]]:
        first, second = tee(read)
        texts = (record.text for record in first)
        yield from zip(
            second, source.features_stream(texts, unit=per, pool=pool, layers=chosen), strict=True
        )

    count = 0
    with open_feature_file(output) as file:
        for number, (record, rows) in enumerate(
            with_progress(found(records), text.paths, data_on_stdout=False), 1
        ):
            table = rows[None] if per == "sentence" else rows
            file.add(number, _names(lm, record.text, per), table, record.id)
            count += len(table)
    if not quiet:
        streams.note(f"{describe(lm, None)}: {count} features in {output}")
        note_bad_records(bad.count)


def _layers(text: str) -> tuple[int, ...]:
    try:
        return tuple(map(int, text.split(",")))
    except ValueError:
        raise UsageError(
            f"--layers is {text!r}, expected numbers with commas between them"
        ) from None


def _names(lm: LanguageModel, text: str, per: FeatureUnit) -> list[str]:
    """The text of each row of a text's features."""
    if per == "sentence":
        return [text]
    if per == "token":
        return lm.tokenizer.tokens(lm.encode(text).tolist())
    from lmscore.runtime.inside import word_texts

    return word_texts(lm.tokenizer, text)
