"""SentencePiece models as tokenizers that give the same ids, without the sentencepiece package."""

from lmscore.runtime.text.sentencepiece.convert import looks_like_model, tokenizer_from_model

__all__ = ["looks_like_model", "tokenizer_from_model"]
