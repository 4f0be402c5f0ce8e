"""Text to token ids, and token ids to bytes."""

from lmscore.runtime.text.byte_spans import Spans
from lmscore.runtime.text.characters import (
    character_spans,
    count_characters,
    extends_character,
)
from lmscore.runtime.text.encoding import check_text, each_text
from lmscore.runtime.text.id_rows import IdRows, Ids, places
from lmscore.runtime.text.parts import Part, split_text, text_parts
from lmscore.runtime.text.pieces import without_space_before
from lmscore.runtime.text.sentencepiece import looks_like_model, tokenizer_from_model
from lmscore.runtime.text.spellings import SpellingTokenizer
from lmscore.runtime.text.tokenizer import Encoded, TextTokenizer
from lmscore.runtime.text.tokenizer_file import read_tokenizer
from lmscore.runtime.text.words import word_tokenizer

__all__ = [
    "Encoded",
    "IdRows",
    "Ids",
    "Part",
    "Spans",
    "SpellingTokenizer",
    "TextTokenizer",
    "character_spans",
    "check_text",
    "count_characters",
    "each_text",
    "extends_character",
    "looks_like_model",
    "places",
    "read_tokenizer",
    "split_text",
    "text_parts",
    "tokenizer_from_model",
    "without_space_before",
    "word_tokenizer",
]
