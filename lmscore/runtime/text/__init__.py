"""Text to token ids, and token ids to bytes."""

from lmscore.runtime.text.characters import (
    character_spans,
    extends_character,
    first_character,
)
from lmscore.runtime.text.id_rows import IdRows, Ids, places
from lmscore.runtime.text.tokenizer import (
    Encoded,
    EncodedTexts,
    Placed,
    TextTokenizer,
    check_text,
    offsets_in,
)

__all__ = [
    "Encoded",
    "EncodedTexts",
    "IdRows",
    "Ids",
    "Placed",
    "TextTokenizer",
    "character_spans",
    "check_text",
    "extends_character",
    "first_character",
    "offsets_in",
    "places",
]
