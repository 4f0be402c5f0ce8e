"""Text to token ids, and token ids to bytes."""

from lmscore.runtime.text.tokenizer import Encoded, Ids, TextTokenizer, check_text

__all__ = ["Encoded", "Ids", "TextTokenizer", "check_text"]
