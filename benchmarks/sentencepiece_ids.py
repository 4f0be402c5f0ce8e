"""SentencePiece models beside the tokenizers that are made of them: on how many lines ids differ.

    python benchmarks/sentencepiece_ids.py --train corpus.txt books.txt poems.txt ...

Models of both kinds, with three normalisations, with and without byte fallback and user-defined
symbols, are trained by the package sentencepiece on the first file, and compared on all lines and
on random strings. Prints a table and the first line that differs of each model.
"""

from __future__ import annotations

import argparse
import io
import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import sentencepiece

from lmscore.runtime.text import tokenizer_from_model

RULES = ("identity", "nmt_nfkc", "nmt_nfkc_cf")
RANGES = [(0x20, 0x7F), (0xA0, 0x180), (0x300, 0x370), (0x370, 0x400), (0x400, 0x500)]
RANGES += [(0x590, 0x600), (0x600, 0x700), (0x900, 0x980), (0xE00, 0xE80), (0x1100, 0x1200)]
RANGES += [(0x1E00, 0x1F00), (0x2000, 0x2070), (0x3000, 0x3100), (0x4E00, 0x5000)]
RANGES += [(0xAC00, 0xAD00), (0xFF00, 0xFFEF), (0x1F600, 0x1F650)]


def odd_strings(number: int, seed: int = 1) -> Iterator[str]:
    draw = random.Random(seed)
    for _ in range(number):
        parts = (draw.choice(RANGES) for _ in range(draw.randint(1, 12)))
        yield "".join(chr(draw.randrange(*part)) for part in parts)


def trained(path: Path, kind: str, rule: str, size: int, *, bytes_: bool, symbols: bool) -> bytes:
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        input=str(path),
        model_writer=written,
        model_type=kind,
        normalization_rule_name=rule,
        vocab_size=size,
        byte_fallback=bytes_,
        user_defined_symbols="<ctc>,@@" if symbols else "",
        input_sentence_size=200_000,
        minloglevel=2,
    )
    return written.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--train", required=True, type=Path)
    parser.add_argument("--vocab-size", type=int, default=6000)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--kind", action="append", choices=["bpe", "unigram"])
    given = parser.parse_args()
    lines = list(
        itertools.islice(
            (line for path in given.files for line in path.read_text("utf-8").splitlines()),
            given.lines,
        )
    )
    lines += odd_strings(20_000)
    print(f"{len(lines):,} lines, sentencepiece {sentencepiece.__version__}")
    choices = itertools.product(
        given.kind or ("bpe", "unigram"), RULES, (False, True), (False, True)
    )
    for kind, rule, bytes_, symbols in choices:
        model = trained(given.train, kind, rule, given.vocab_size, bytes_=bytes_, symbols=symbols)
        reference = sentencepiece.SentencePieceProcessor(model_proto=model)
        tokenizer = tokenizer_from_model(model, source="the model", approximate=True)
        found = (encoding.ids for encoding in tokenizer.encode_batch(lines))
        expected = reference.encode(lines, num_threads=1)
        differ = [line for line, a, b in zip(lines, found, expected, strict=True) if a != b]
        name = f"{kind} {rule}{' bytes' if bytes_ else ''}{' symbols' if symbols else ''}"
        print(f"{name:35} {len(differ):6}  {ascii(differ[0]) if differ else ''}", flush=True)


if __name__ == "__main__":
    main()
