"""Learning from the distributions of other models."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lmscore.errors import ModelNotFoundError, OptionError
from lmscore.runtime.ngram import count_ngrams, estimate, write_arpa
from lmscore.train import train
from lmscore.train.batches import PADDING, Batch
from lmscore.train.cross_entropy import linear_cross_entropy
from lmscore.train.distillation import (
    LinearLogits,
    SoftTargets,
    WholeLogits,
    distilled_cross_entropy,
)
from lmscore.train.learner import Learner
from lmscore.train.network import RecurrentLM
from lmscore.train.sampled import Candidates
from lmscore.train.teachers import NgramTeacher
from lmscore.train.workers import Workers
from tests.train.test_cross_entropy import draw, gradients
from tests.train.test_resume import StopError, resume, same_weights, stop_at
from tests.train.toy import sentences, toy_config, toy_options, write

FP32 = torch.float32


def drawn_teachers(
    count: int, N: int, V: int, generator: torch.Generator
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Features, weight and bias of each teacher, of a size of its own."""
    found = []
    for D in range(2, 2 + count):
        features = torch.randn(N, D, generator=generator)
        weight = torch.randn(V, D, generator=generator)
        found.append((features, weight, torch.randn(V, generator=generator)))
    return found


def by_definition(
    logits: Tensor,
    of_teachers: list[Tensor],
    targets: Tensor,
    share: float,
    T: float,
    candidates: Candidates | None,
) -> tuple[Tensor, Tensor]:
    """The loss to lower and the loss of the text, as autograd computes them of the formula."""

    def log_probs(logits: Tensor, T: float) -> Tensor:
        if candidates is None:
            return torch.log_softmax(logits / T, -1)
        at = targets[:, None]
        weighted = torch.full_like(logits, -1e9)
        weighted[:, candidates.tokens] = logits[:, candidates.tokens] / T + candidates.log_weights
        return torch.log_softmax(weighted.scatter(1, at, logits.gather(1, at) / T), -1)

    taught = torch.stack([log_probs(each, T).exp() for each in of_teachers]).mean(0)
    of_text = -log_probs(logits, 1).gather(1, targets[:, None]).sum()
    of_teachers_ = -(taught * log_probs(logits, T)).sum()
    return (1 - share) * of_text + share * T**2 * of_teachers_, of_text


@settings(max_examples=25, deadline=None)
@given(
    N=st.integers(1, 40),
    teachers=st.integers(1, 3),
    share=st.floats(0.01, 0.99),
    T=st.sampled_from([0.5, 1.0, 2.0]),
    C=st.integers(1, 20) | st.none(),
    seed=st.integers(0, 1 << 16),
)
def test_value_and_gradients_are_those_of_the_formula(
    N: int, teachers: int, share: float, T: float, C: int | None, seed: int
) -> None:
    hidden, weight, bias, targets = draw(N, 30, 5, seed)
    generator = torch.Generator().manual_seed(seed)
    candidates = None
    if C is not None:
        tokens = torch.randperm(30, generator=generator)[:C]
        candidates = Candidates(tokens, torch.randn(C, generator=generator))
    parts = drawn_teachers(teachers, N, 30, generator)
    soft = SoftTargets([LinearLogits(*part, FP32) for part in parts], share, T)
    lowered, of_text = distilled_cross_entropy(
        hidden, weight, bias, targets, FP32, soft, candidates
    )
    logits = hidden @ weight.T + bias
    of_teachers = [features @ matrix.T + shift for features, matrix, shift in parts]
    expected, plain = by_definition(logits, of_teachers, targets, share, T, candidates)

    torch.testing.assert_close(lowered, expected, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(of_text, plain, rtol=1e-4, atol=1e-3)
    for got, wanted in zip(
        gradients(2 * lowered, hidden, weight, bias),
        gradients(2 * expected, hidden, weight, bias),
        strict=True,
    ):
        torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-3)


def test_a_teacher_that_knows_the_text_adds_nothing() -> None:
    """Its distribution is the target itself: the loss is that of the text, whatever the share."""
    hidden, weight, bias, targets = draw(20, 30, 5, seed=3)
    certain = torch.full((20, 30), -1e9).scatter(1, targets[:, None], 0.0)
    soft = SoftTargets([WholeLogits(lambda rows: certain[rows])], 0.7, 1.0)
    lowered, of_text = distilled_cross_entropy(hidden, weight, bias, targets, FP32, soft)
    plain = linear_cross_entropy(hidden, weight, bias, targets, FP32)
    torch.testing.assert_close(lowered, plain)
    torch.testing.assert_close(of_text, plain)


def test_linear_logits_are_whole_logits() -> None:
    features, weight, bias, targets = draw(600, 30, 5, seed=1)
    linear = LinearLogits(features.detach(), weight.detach(), bias.detach(), FP32)
    whole = WholeLogits(linear.whole)
    rows, tokens = slice(512, 1024), torch.tensor([7, 3, 9])
    found = linear.sampled(rows, tokens, targets[rows])
    assert found.shape == (88, 4)
    torch.testing.assert_close(found, whole.sampled(rows, tokens, targets[rows]))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that has learnt the toy language from more text than its pupils get."""
    folder = tmp_path_factory.mktemp("teacher")
    text = write(folder / "more", sentences(600, seed=5))
    options = toy_options(folder, train=(text,), epochs=12, dropout=0.0, evaluations=1)
    return train(options).path


def pupil(folder: Path, model: Path, **changes: Any) -> dict[str, Any]:
    text = write(folder / "little", sentences(12, seed=2))
    valid = write(folder / "valid", sentences(60, seed=3))
    return {
        "train": (text,),
        "valid": (valid,),
        "tokenizer": str(model / "tokenizer.json"),
        "epochs": 30,
        "batch_size": 1,
        "dropout": 0.0,
        **changes,
    }


def held_out_loss(folder: Path, **options: Any) -> float:
    trained = train(toy_options(folder, **options))
    return math.log(trained.config.training["valid"]["perplexity"])


@pytest.mark.parametrize("sampled", [0, 1024])
def test_a_pupil_learns_what_its_text_lacks(tmp_path: Path, teacher: Path, sampled: int) -> None:
    plain = held_out_loss(tmp_path, **pupil(tmp_path, teacher), output=str(tmp_path / "plain"))
    taught = held_out_loss(
        tmp_path,
        **pupil(tmp_path, teacher, teacher=(str(teacher),), teacher_share=0.8),
        sampled_softmax=sampled,
    )
    assert taught < plain - 0.05


def test_an_ensemble_with_an_ngram_model(tmp_path: Path, teacher: Path) -> None:
    lines = [line.split() for line in sentences(600, seed=5)]
    arpa = tmp_path / "tokens.arpa"
    write_arpa(estimate(count_ngrams(lines, 3), "add-k", k=0.01), arpa)
    plain = held_out_loss(tmp_path, **pupil(tmp_path, teacher), output=str(tmp_path / "plain"))
    both = pupil(tmp_path, teacher, teacher=(str(teacher), str(arpa)), teacher_share=0.8)
    bundle = train(toy_options(tmp_path, **both))
    assert math.log(bundle.config.training["valid"]["perplexity"]) < plain - 0.01
    assert bundle.config.training["options"]["teacher"] == [teacher.name, "tokens.arpa"]


def test_an_ngram_teacher_says_what_the_model_says() -> None:
    """In the order of the batch, time first, without padding, the words before carried along."""
    lines = [line.split() for line in sentences(50)]
    model = estimate(count_ngrams(lines, 3), "add-k", k=0.01)
    ids = {word: number for number, word in enumerate(model.words)}
    order = np.array([2, 1, 0, *range(3, len(model.words))])  # </s>, <s>, <unk>, words
    teacher = NgramTeacher(model, order, torch.device("cpu"))
    back = {int(number): place for place, number in enumerate(order)}
    rows = [["<s>", "the", "cat", "likes"], ["<s>", "the", "fish", "the"]]
    inputs = torch.tensor([[back[ids[word]] for word in row] for row in rows]).T  # [T, B]
    counted = torch.ones(2, 2, dtype=torch.int64)
    counted[1, 1] = PADDING
    state = None
    found = []
    for part, targets in ((inputs[:2], torch.ones_like(counted)), (inputs[2:], counted)):
        batch = Batch(part, targets, int((targets != PADDING).sum()), continues=state is not None)
        logits, state = teacher.read(batch, state, FP32)
        found.append(logits.whole(slice(0, 512)))
    seen = [rows[0][:1], rows[1][:1], rows[0][:2], rows[1][:2], rows[0][:3], rows[1][:3], rows[0]]
    for got, history in zip(torch.cat(found), seen, strict=True):
        expected = model.next_log_probs(np.array([ids[word] for word in history[-2:]]))
        expected[1] = got.min().item()  # <s> never comes, whatever the file says
        np.testing.assert_allclose(got.numpy(), expected[order], rtol=1e-5, atol=1e-4)


def test_tokens_that_an_ngram_teacher_lacks_share_its_unknown_word() -> None:
    model = estimate(count_ngrams([line.split() for line in sentences(50)], 2), "add-k", k=0.01)
    known = np.arange(len(model.words))
    words = np.concatenate([known, np.zeros(5, np.int64)])  # <unk>, and five others like it
    teacher = NgramTeacher(model, words, torch.device("cpu"))
    batch = Batch(torch.tensor([[1]]), torch.tensor([[3]]), 1, continues=False)
    found = teacher.read(batch, None, FP32)[0].whole(slice(0, 1))[0].double().exp()
    assert found.sum().item() == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(found[len(known) :], found[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"context": "document"}, "teacher .*: its context is sentence, the model's document"),
        ({"direction": "backward"}, "its direction is forward, the model's backward"),
        ({"tokenizer": "char"}, "its vocabulary is another one; train with its tokenizer: tok"),
    ],
)
def test_a_teacher_that_does_not_fit(
    tmp_path: Path, teacher: Path, changes: dict[str, Any], message: str
) -> None:
    options = pupil(tmp_path, teacher, teacher=(str(teacher),), **changes)
    with pytest.raises(OptionError, match=message):
        train(toy_options(tmp_path, **options))


def test_a_teacher_that_is_missing_is_told_before_the_text_is_read(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="nowhere: no such directory"):
        train(toy_options(tmp_path, teacher=(str(tmp_path / "nowhere"),)))
    assert not (tmp_path / "model").exists()


def test_ngrams_of_other_units_are_refused(tmp_path: Path, teacher: Path) -> None:
    arpa = tmp_path / "letters.arpa"
    model = estimate(count_ngrams([list("thecat")] * 3, 2), "add-k", k=1.0)
    write_arpa(model, arpa)
    options = pupil(tmp_path, teacher, teacher=(str(arpa),))
    with pytest.raises(
        OptionError, match=r"letters\.arpa: it knows [0-9]+% of the vocabulary's tok"
    ):
        train(toy_options(tmp_path, **options))
    backward = {**options, "direction": "backward"}
    with pytest.raises(OptionError, match="an n-gram model reads sentences forward, the model has"):
        train(toy_options(tmp_path, output=str(tmp_path / "other"), **backward))


def test_smoothing_is_of_the_loss_of_the_text(tmp_path: Path) -> None:
    options = toy_options(tmp_path, teacher=("lm",), teacher_share=0.75, label_smoothing=0.2)
    network = RecurrentLM(toy_config())
    taught = Learner(options, network, workers=Workers())._penalties
    alone = Learner(dataclasses.replace(options, teacher=()), network, workers=Workers())._penalties
    assert taught.smoothing == pytest.approx(0.05)
    assert alone.smoothing == 0.2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output_layer": "classes"}, "teacher is compared with a plain softmax"),
        ({"self_normalize": 0.1}, "teacher is compared with a plain softmax"),
    ],
)
def test_output_layers_without_a_plain_softmax(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        toy_options(tmp_path, teacher=("some-lm",), **changes)


def test_an_interrupted_run_is_the_uninterrupted_one(tmp_path: Path, teacher: Path) -> None:
    """The state of a teacher is carried from batch to batch, and saved with the network's."""
    long = write(tmp_path / "long", [" ".join(sentences(60)), *sentences(20)])  # read in pieces
    options = pupil(tmp_path, teacher, train=(long,), epochs=3)
    options |= {
        "batch_size": 2,
        "teacher": (str(teacher),),
        "checkpoint_minutes": 1e-9,
        "sampled_softmax": 1024,
    }
    train(toy_options(tmp_path, output=str(tmp_path / "whole"), **options))
    with pytest.raises(StopError):
        train(toy_options(tmp_path, output=str(tmp_path / "often"), **options), report=stop_at(4))
    resume(tmp_path / "often")
    assert same_weights(tmp_path / "often", tmp_path / "whole")
