"""Perplexities of held-out text, the same ones that scoring reports."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

import lmscore
from lmscore.bundle import Bundle
from lmscore.export import export_model
from lmscore.files import read_lines
from lmscore.runtime.scoring.score import Summary
from lmscore.train import train
from lmscore.train.batches import SentenceBatches
from lmscore.train.corpus import CorpusCounts
from lmscore.train.dropout import Rates
from lmscore.train.evaluate import figures, held_out_batches, measure
from lmscore.train.losses import Losses, perplexity
from lmscore.train.network import RecurrentLM
from tests.train.toy import needs_bf16, sentences, toy_config, toy_corpus, toy_options, write


def summary_of(bundle: Bundle, text: Path, context: str) -> Summary:
    lm = lmscore.load(bundle.path, variant="fp32", device="cpu")
    summary = Summary()
    summary.extend(lm.score_stream(read_lines(text), context=context))  # type: ignore[arg-type]
    return summary


def test_the_exported_model_agrees(trained: Bundle, valid_text: Path) -> None:
    valid = trained.config.training["valid"]
    summary = summary_of(trained, valid_text, "sentence")

    assert summary.perplexity == pytest.approx(valid["perplexity"], rel=1e-4)
    assert summary.ppl == pytest.approx(valid["perplexity_per_word"], rel=1e-4)
    assert summary.bits_per_character == pytest.approx(valid["bits_per_character"], rel=1e-4)
    assert summary.log_prob == pytest.approx(valid["log_prob"], rel=1e-4)
    assert summary.tokens == valid["tokens"]
    assert summary.words == valid["words"]
    assert summary.characters == valid["characters"]


DTYPES = [torch.float32, pytest.param(torch.bfloat16, marks=needs_bf16)]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_mean_loss_is_that_of_the_softmax(dtype: torch.dtype) -> None:
    corpus, config = toy_corpus([3, 1, 5]), toy_config()
    network = RecurrentLM(config).train()
    batches = SentenceBatches(corpus, config, tokens=8, seed=None)
    total = 0.0
    for start, end in zip(corpus.starts[:-1], corpus.starts[1:], strict=True):
        targets = torch.from_numpy(corpus.tokens[start:end].astype("int64"))
        inputs = torch.cat([torch.tensor([config.bos_token_id]), targets[:-1]])
        with torch.no_grad():
            hidden, _ = network(inputs[:, None], network.initial_state(1))
            log_probs = network.log_probs(hidden[:, 0])
        total -= float(log_probs.gather(1, targets[:, None]).sum())

    tolerance = 1e-6 if dtype == torch.float32 else 0.01
    assert measure(network, batches, dtype=dtype).mean == pytest.approx(total / 9, rel=tolerance)
    assert network.training  # as it was before


def test_evaluation_draws_nothing_at_random() -> None:
    corpus, config = toy_corpus([3, 1, 5]), toy_config()
    network = RecurrentLM(config, Rates(embedding=0.5, layers=0.5, output=0.5))
    before = torch.get_rng_state()
    batches = held_out_batches(corpus, config)
    assert measure(network, batches) == measure(network, batches)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_sample_comes_from_everywhere() -> None:
    corpus = toy_corpus([5] * 100)
    sample = held_out_batches(corpus, toy_config(), most_tokens=50)
    assert sample.tokens == 50
    targets = torch.cat([batch.targets.flatten() for batch in sample.epoch(0)])
    assert int((targets == 1).sum()) == 10
    assert held_out_batches(corpus, toy_config(), most_tokens=10**6).tokens == 500


def test_a_document_is_measured_in_a_few_tracks(tmp_path: Path) -> None:
    """So that all but the first of them lack the context before them: a little is lost."""
    valid = write(tmp_path / "valid", sentences(200, seed=2))
    options = toy_options(tmp_path, valid=(valid,), context="document", bptt=20, epochs=20)
    bundle = train(options)
    exported = Bundle(bundle.path, export_model(bundle.path, variants=("fp32",)))
    measured = bundle.config.training["valid"]["perplexity"]
    assert summary_of(exported, Path(valid), "document").perplexity == pytest.approx(
        measured, rel=0.02
    )


def test_figures() -> None:
    counts = CorpusCounts(lines=2, words=6, characters=40, tokens=10, oov=2)
    assert figures(Losses(10 * math.log(4), 10, 2 * math.log(16), 2), counts) == {
        "log_prob": pytest.approx(-10 * math.log(4)),
        "perplexity": pytest.approx(4),
        "perplexity_excluding_oovs": pytest.approx(4 ** (6 / 8)),
        "perplexity_per_word": pytest.approx(4 ** (10 / 8)),
        "bits_per_character": pytest.approx(0.5),
    }


def test_one_word_of_a_thousand_characters() -> None:
    counts = CorpusCounts(lines=1, words=1, characters=1001, tokens=1001, oov=0)
    found = figures(Losses(2002.0, 1001), counts)
    assert found["perplexity_per_word"] is None  # e ** 1001
    assert found["bits_per_character"] == pytest.approx(2 / math.log(2))
    assert perplexity(1001.0) == math.inf
