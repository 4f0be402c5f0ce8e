"""What docs/decoders.md shows runs as it stands there, where the decoder is installed."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import lmscore
from lmscore.runtime.model import LanguageModel

PAGE = Path(__file__).parents[3] / "docs" / "decoders.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def run(names: dict[str, Any], *blocks: str) -> dict[str, Any]:
    for block in blocks:
        exec(block, names)  # our own page
    return names


def test_kenlm() -> None:
    names = run({}, BLOCKS[0])
    assert names["total"] == pytest.approx(names["model"].score("this is their house"))


def test_pyctcdecode() -> None:
    pytest.importorskip("pyctcdecode")
    labels = ["", " ", *"abc"]
    names = run(
        {"labels": labels, "logits": np.eye(5)[[2, 3, 1, 4]], "unigrams": ["ab"]}, BLOCKS[1]
    )
    assert names["decoder"]._language_model.scorer.steps.misses > 0


def test_flashlight() -> None:
    pytest.importorskip("flashlight.lib.text.decoder")
    lm = lmscore.load()
    tokens = [lm.tokenizer.token(i) for i in range(lm.vocab_size)]
    names = run({"words": ["this"], "lm": lm, "tokens": [*tokens, "<blank>"]}, *BLOCKS[2:4])
    fused = names["fused"]
    _, log_prob = fused.score(fused.start(False), tokens.index("Ġthis"))
    assert log_prob == pytest.approx(lm.score("this").tokens[0].log_prob, abs=1e-5)


def test_espnet(lm: LanguageModel) -> None:
    pytest.importorskip("espnet.nets.scorer_interface", exc_type=ImportError)
    names: dict[str, Any] = {"lm": lm, "scorers": {}, "token_list": ["<blank>", "the", "<sos/eos>"]}
    run(names, BLOCKS[4])
    assert names["scorers"]["lm"].final_score(None) == 0


def test_transformers(lm: LanguageModel) -> None:
    tokens = ["<pad>", "</s>", "the"]
    model = SimpleNamespace(config=SimpleNamespace(vocab_size=3), generate=dict)
    tokenizer = SimpleNamespace(convert_ids_to_tokens=lambda ids: [tokens[i] for i in ids])
    names = run({"lm": lm, "model": model, "tokenizer": tokenizer, "inputs": {}}, BLOCKS[5])
    assert callable(names["processor"])
    assert len(BLOCKS) == 7


def test_an_adapter_of_one_s_own(lm: LanguageModel) -> None:
    names = run({}, BLOCKS[6])
    assert len(BLOCKS[6].splitlines()) < 50
    assert not re.search(r"(lm|engine|state|step|tokenizer)\._", BLOCKS[6]), "public calls only"
    tokens = ["cat", "<stop>", "the", "sat", "on"]
    fused = names["BeamLM"](lm, tokens, end="<stop>", weight=1.0)
    first, start = fused.start()
    both, state = fused.extend(start, [0, 0], [2, 0])  # "the", "cat"
    ends, _ = fused.extend(state, [0, 0, 1], [0, 3, 3])  # "the cat", "the sat", "cat sat"
    found = [first[0, 2] + both[0, 0] + ends[0, 1], first[0, 0] + both[1, 3] + ends[2, 1]]
    expected = [lm.score(text).log_prob for text in ("the cat", "cat sat")]
    assert found == pytest.approx(expected, abs=1e-4)
    assert fused.text([2, 0, 1]) == "the cat"
    again, _ = fused.start("the cat")
    assert again[0, 1] == pytest.approx(ends[0, 1], abs=1e-4)
    assert len(fused.join([start, state])) == 3
    with pytest.raises(ValueError, match=r"not in the vocabulary of .*model: \['xyz'\]"):
        names["BeamLM"](lm, ["xyz"], end="<stop>")
