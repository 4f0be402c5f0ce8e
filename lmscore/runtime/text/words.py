"""The tokenizer of a list of words."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer, models, pre_tokenizers

from lmscore.bundle import Config
from lmscore.runtime.text.tokenizer import TextTokenizer


def word_tokenizer(words: Sequence[str], config: Config, *, source: str) -> TextTokenizer:
    """A tokenizer that splits at white space and looks words up; `source` names it in errors.

    Raises:
        ModelError: the words do not fit the config.
    """
    ids = {word: number for number, word in enumerate(words)}
    unknown = words[config.unk_token_id or 0]
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = (config.bos_token_id, config.eos_token_id, config.unk_token_id)
    tokenizer.add_special_tokens([words[number] for number in special if number is not None])
    return TextTokenizer(tokenizer, config, source=source)
