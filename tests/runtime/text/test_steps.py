"""The steps of tokenizers, those of sequences in their place."""

from __future__ import annotations

import json

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from lmscore.runtime.text.steps import steps_of


def test_sequences_are_flat() -> None:
    inner = normalizers.Sequence([normalizers.NFC(), normalizers.Replace("a", "b")])
    outer = normalizers.Sequence([normalizers.Prepend("x"), inner, normalizers.Lowercase()])
    assert steps_of(outer) == [
        {"type": "Prepend", "prepend": "x"},
        {"type": "NFC"},
        {"type": "Replace", "pattern": {"String": "a"}, "content": "b"},
        {"type": "Lowercase"},
    ]
    assert steps_of(None) == []


def test_the_steps_are_those_of_the_file() -> None:
    tokenizer = Tokenizer(models.BPE({"a": 0}, []))
    level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(), level])
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    document = json.loads(tokenizer.to_str())
    assert steps_of(tokenizer.pre_tokenizer) == document["pre_tokenizer"]["pretokenizers"]
    assert steps_of(tokenizer.decoder) == document["decoder"]["decoders"]
    assert steps_of(tokenizer.post_processor) == [document["post_processor"]]
