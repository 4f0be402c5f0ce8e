"""Shallow fusion: against scores of whole texts, and in the real `generate`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from lmscore.errors import InputError, OptionError
from lmscore.runtime.adapters.transformers import ShallowFusion
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from tests.models import WORDS

TOKENS = ["<pad>", "</s>", "<unk>", *WORDS, *(f"w{i}" for i in range(25))]
PAD, END = 0, 1


def fusion(lm: LanguageModel, **options: Any) -> ShallowFusion:
    return ShallowFusion(lm, TOKENS, **{"weight": 0.5, "skip": ["<pad>"], **options})


def ids(text: str) -> list[int]:
    return [TOKENS.index(word) for word in text.split()]


def expected_scores(lm: LanguageModel, text: str) -> list[float]:
    """What each token scores after a text."""
    after = [f"{text} {token}".strip() for token in TOKENS[2:]]
    scores = [score.tokens[-1].log_prob for score in lm.score_batch(after, eos=False)]
    return [-math.inf, lm.score(text).tokens[-1].log_prob, *scores]


def test_scores_are_added(lm: LanguageModel) -> None:
    processor = fusion(lm)
    texts = ["the cat", "a dog"]
    given = torch.randn(2, len(TOKENS))
    for length in (0, 1, 2):
        heads = [" ".join(text.split()[:length]) for text in texts]
        read = torch.tensor([[PAD, *ids(head)] for head in heads])
        before = given.clone()
        found = processor(read, given)
        assert torch.equal(given, before)
        for row, old, head in zip(found, given, heads, strict=True):
            expected = torch.tensor(expected_scores(lm, head)) * 0.5 + old
            assert row.tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_model_without_a_state(tmp_path: Path) -> None:
    arpa = tmp_path / "my.arpa"
    arpa.write_text("\\data\\\nngram 1=3\n\n\\1-grams:\n-1\t<s>\n-1\t</s>\n-0.5\ta\n\n\\end\\\n")
    processor = ShallowFusion(load(arpa), ["</s>", "a"], weight=1.0)
    found = processor(torch.tensor([[0, 1]]), torch.zeros(1, 2))
    assert found.tolist()[0] == pytest.approx([math.log(0.1), math.log(10**-0.5)])


def test_every_step_but_the_first_goes_on_from_the_one_before(lm: LanguageModel) -> None:
    processor = fusion(lm)
    scores = torch.zeros(2, len(TOKENS))
    processor(torch.tensor([[PAD], [PAD]]), scores)
    for words in (["the", "a"], ["a cat", "the dog"], ["the dog sat", "the dog ran"]):
        hits = processor.rows.hits
        processor(torch.tensor([[PAD, *ids(text)] for text in words]), scores)
        assert processor.rows.hits == hits + 2
    assert processor.rows.misses == 0


def test_a_text_that_was_forgotten_is_read_again(lm: LanguageModel) -> None:
    processor = fusion(lm, skip_log_prob=-1.0)
    found = processor(torch.tensor([[PAD, *ids("the cat sat")]]), torch.zeros(1, len(TOKENS)))
    expected = torch.tensor([-1.0, *expected_scores(lm, "the cat sat")[1:]]) * 0.5
    assert found[0].tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_hypotheses_that_have_ended_do_no_harm(lm: LanguageModel) -> None:
    processor = fusion(lm)
    read = torch.tensor([[PAD, *ids("the cat")], [PAD, *ids("the"), END]])
    assert processor(read, torch.zeros(2, len(TOKENS))).shape == (2, len(TOKENS))


def test_half_precision(lm: LanguageModel) -> None:
    found = fusion(lm)(torch.tensor([[PAD]]), torch.zeros(1, len(TOKENS), dtype=torch.float16))
    assert found.dtype == torch.float16


def test_errors(lm: LanguageModel) -> None:
    with pytest.raises(InputError, match="61 scores for 60 tokens: give all of the decoder's"):
        fusion(lm)(torch.tensor([[PAD]]), torch.zeros(1, 61))
    with pytest.raises(InputError, match="token 60 is not one of the decoder's 60 tokens"):
        fusion(lm)(torch.tensor([[60]]), torch.zeros(1, 60))
    for weight in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(OptionError, match="weight must be a positive number, not"):
            fusion(lm, weight=weight)


@pytest.mark.parametrize("num_beams", [1, 4])
def test_generate(lm: LanguageModel, num_beams: int) -> None:
    """A decoder that knows nothing says what the language model would."""
    transformers = pytest.importorskip("transformers")
    config = transformers.T5Config(
        vocab_size=len(TOKENS),
        d_model=8,
        d_kv=4,
        d_ff=8,
        num_layers=1,
        num_heads=2,
        pad_token_id=PAD,
        eos_token_id=END,
        decoder_start_token_id=PAD,
    )
    model = transformers.T5ForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    processor = fusion(lm, weight=1.0, skip=["<pad>"])
    found = model.generate(
        torch.tensor([ids("the cat"), ids("a dog")]),
        logits_processor=[processor],
        num_beams=num_beams,
        max_new_tokens=4,
        **({"length_penalty": 0.0} if num_beams > 1 else {}),
        do_sample=False,
    )
    texts = {" ".join(TOKENS[i] for i in row if i not in (PAD, END)) for row in found.tolist()}
    best = lm.beam_search(beam_size=num_beams, max_tokens=4, length_penalty=0)[0]
    assert texts == {best.text}
    assert processor.rows.hits > processor.rows.misses
