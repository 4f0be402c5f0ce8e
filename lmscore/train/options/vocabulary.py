"""The tokens that a model knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from lmscore.train.options.declaration import COUNT, SHARE, Bounds, Option, OptionGroup

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


@dataclass(frozen=True, kw_only=True)
class VocabularyOptions(OptionGroup):
    """Options of the tokenizer and its vocabulary."""

    heading: ClassVar[str] = "Vocabulary"

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
            Bounds(at_least=1, below=1 << 63),
        ),
    ] = 1
    unk_share: Annotated[
        float,
        Option(
            "Share of the words seen once that stand for <unk> in training, drawn again in each "
            "epoch, unless the vocabulary leaves out as many; for word and char.",
            "P",
            SHARE,
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
    extend_vocabulary: Annotated[
        int | None,
        Option(
            "Add up to N words, characters or pieces of the text to the vocabulary of --init-from "
            "MODEL, which keeps its own; --min-count leaves out rare ones.",
            "N",
            COUNT,
        ),
    ] = None
