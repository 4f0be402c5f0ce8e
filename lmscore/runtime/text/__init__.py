"""Text to token ids, and token ids to bytes."""

from lmscore.runtime.text.characters import (
    character_spans,
    extends_character,
    first_character,
)
from lmscore.runtime.text.tokenizer import Encoded, Ids, TextTokenizer, check_text

__all__ = [
    "Encoded",
    "Ids",
    "TextTokenizer",
    "character_spans",
    "check_text",
    "extends_character",
    "first_character",
]
