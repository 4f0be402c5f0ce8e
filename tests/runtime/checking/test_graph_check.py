"""That `check` finds what is wrong, wherever it is: each part of parity.npz is spoilt in turn."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lmscore.bundle import Bundle, Parity
from lmscore.runtime.checking import Difference, GraphCheck, check_graph, compare_graphs
from lmscore.runtime.engine import Engine, Graph


def load(bundle: Bundle, variant: str = "fp32") -> Engine:
    return Engine.load(bundle, variant, threads=1)


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_a_good_graph_passes(bundle: Bundle, parity: Parity, variant: str) -> None:
    report = check_graph(Engine.load(bundle, variant), parity)
    record = bundle.config.graphs[variant]
    assert report.failure(variant) is None
    assert report.log_probs.value == pytest.approx(record.max_log_prob_difference, abs=1e-5)
    assert report.perplexity_change == pytest.approx(record.perplexity_change, abs=1e-5)
    assert report.perplexity == pytest.approx(60, rel=0.5)


@pytest.mark.parametrize(
    ("name", "place", "where"),
    [
        ("log_probs", (0, 0, 5), r"sequence 0, token 0"),
        ("target_log_probs", (1, 0), r"sequence 1, token 0"),
        ("heldout_target_log_probs", (2, 0), r"held-out, sequence 2, token 0"),
    ],
)
@pytest.mark.parametrize("amount", [0.01, np.nan, np.inf])
def test_a_log_prob_that_differs_is_found(
    bundle: Bundle, parity: Parity, name: str, place: tuple[int, ...], where: str, amount: float
) -> None:
    spoilt = getattr(parity, name).copy()
    spoilt[place] += amount
    report = check_graph(load(bundle), dataclasses.replace(parity, **{name: spoilt}))
    assert report.log_probs.value == pytest.approx(0.01 if amount == 0.01 else np.inf, rel=0.01)
    failure = report.failure("fp32")
    assert failure is not None
    assert where in failure


def test_a_state_that_differs_is_found(bundle: Bundle, parity: Parity) -> None:
    h, c = parity.final_state
    report = check_graph(load(bundle), dataclasses.replace(parity, final_state=(h, c + 0.1)))
    assert (report.failure("fp32") or "").startswith("states differ by 0.")
    assert report.failure("int8") is None


class Broken(Graph):
    """A graph whose outputs are spoilt by a function of their name and the run's arguments."""

    spoil: Callable[[str, np.ndarray, dict[str, Any]], np.ndarray]

    def run(self, outputs: list[str], tokens: np.ndarray, **given: Any) -> list[np.ndarray]:
        found = super().run(outputs, tokens, **given)
        given["tokens"] = tokens
        return [self.spoil(name, a, given) for name, a in zip(outputs, found, strict=True)]


def no_parents(name: str, array: np.ndarray, given: dict[str, Any]) -> np.ndarray:
    """Rows that are reversed come back in the incoming order."""
    parents = given.get("parents")
    is_reversed = parents is not None and len(parents) > 1 and parents[0] > parents[1]
    return array[::-1] if is_reversed and name == "log_probs" else array


def no_state(name: str, array: np.ndarray, given: dict[str, Any]) -> np.ndarray:
    return array * 0.9 if name.startswith("next_") else array


def no_lengths(name: str, array: np.ndarray, given: dict[str, Any]) -> np.ndarray:
    padded = given.get("lengths") is not None and (given["lengths"] < array.shape[1]).any()
    return array + 0.01 if padded and name == "target_log_probs" else array


def single_steps(name: str, array: np.ndarray, given: dict[str, Any]) -> np.ndarray:
    return array + 0.01 if given["tokens"].shape[1] == 1 and name == "log_probs" else array


def two_targets(name: str, array: np.ndarray, given: dict[str, Any]) -> np.ndarray:
    return array + 0.01 if name == "target_log_probs" and array.shape[-1] == 2 else array


def five_best(name: str, array: np.ndarray, given: dict[str, Any]) -> np.ndarray:
    return array[..., ::-1] if name == "top_tokens" and given["k"] == 5 else array


def entropy(name: str, array: np.ndarray, given: dict[str, Any]) -> np.ndarray:
    return array * 1.01 if name == "entropies" else array


def rank(name: str, array: np.ndarray, given: dict[str, Any]) -> np.ndarray:
    return array + 1 if name == "target_ranks" else array


def nan(name: str, array: np.ndarray, given: dict[str, Any]) -> np.ndarray:
    return array * np.nan if name == "log_probs" else array


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_parents, "log-probs differ by .* at parents"),
        (no_state, "log-probs differ by .* at chunks of 1"),
        (no_lengths, "log-probs differ by .* at (whole sequences|held-out|chunks)"),
        (single_steps, "log-probs differ by 0.01 at (chunks of|whole|one by one)"),
        (two_targets, "outputs disagree by 0.01 at k = 2"),
        (five_best, "outputs disagree by .* at k = 5"),
        (entropy, "outputs disagree by 0.00"),
        (rank, "outputs disagree by 1 at"),
        (nan, "log-probs differ by inf"),
    ],
)
def test_each_way_of_running_is_checked(
    bundle: Bundle,
    parity: Parity,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[str, np.ndarray, dict[str, Any]], np.ndarray],
    message: str,
) -> None:
    monkeypatch.setattr(Broken, "spoil", staticmethod(spoil), raising=False)
    engine = Engine(Broken.load(bundle, "fp32", threads=1))
    failure = check_graph(engine, parity).failure("fp32")
    assert failure is not None
    assert re.match(message, failure), failure


@pytest.mark.parametrize(
    ("spoil", "name"), [(no_parents, "parents"), (no_state, "steps"), (single_steps, "steps")]
)
def test_a_graph_is_compared_with_itself(
    bundle: Bundle,
    parity: Parity,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[str, np.ndarray, dict[str, Any]], np.ndarray],
    name: str,
) -> None:
    good = check_graph(load(bundle, "int8"), parity)
    assert good.parents.value < 1e-5
    assert good.steps.value < 1e-5
    monkeypatch.setattr(Broken, "spoil", staticmethod(spoil), raising=False)
    broken = check_graph(Engine(Broken.load(bundle, "int8", threads=1)), parity)
    assert getattr(broken, name).value > 1e-3


def test_sequences_of_one_token_have_nothing_to_pick(bundle: Bundle, parity: Parity) -> None:
    rows = np.flatnonzero(parity.lengths == 1)
    short = dataclasses.replace(
        parity,
        inputs=parity.inputs[rows],
        targets=parity.targets[rows],
        lengths=parity.lengths[rows],
        log_probs=parity.log_probs[rows],
        target_log_probs=parity.target_log_probs[rows],
        final_state=tuple(tensor[:, rows] for tensor in parity.final_state),
    )
    report = check_graph(load(bundle), short)
    assert report.failure("fp32") is None
    assert report.parents == Difference(0.0, "parents")


def test_variants_are_compared(bundle: Bundle, parity: Parity) -> None:
    fp32, int8 = load(bundle), load(bundle, "int8")
    assert compare_graphs(fp32, fp32, parity).value == 0
    records = bundle.config.graphs
    assert compare_graphs(int8, fp32, parity).value > 0
    assert compare_graphs(int8, fp32, parity).value < records["int8"].max_log_prob_difference + 1e-4


def report(**changes: Any) -> GraphCheck:
    none = Difference(0.0, "nowhere")
    return dataclasses.replace(
        GraphCheck(none, none, none, none, none, none, 100.0, 0.0), **changes
    )


@pytest.mark.parametrize(
    ("changes", "fp32", "int8"),
    [
        ({}, None, None),
        ({"log_probs": Difference(0.01, "A")}, "log-probs differ by 0.01 at A, limit 0.001", None),
        ({"batching": Difference(0.01, "A")}, "log-probs in a batch differ by 0.01", None),
        ({"state": Difference(0.01, "A")}, "states differ by 0.01", None),
        ({"steps": Difference(0.01, "A")}, "log-probs of steps differ by 0.01", None),
        ({"parents": Difference(0.01, "A")}, "log-probs of picked rows differ by 0.01", None),
        ({"heads": Difference(0.01, "A")}, "outputs disagree by 0.01", "outputs disagree by 0.01"),
        ({"log_probs": Difference(np.inf, "A")}, "log-probs differ", "log-probs differ by inf"),
        ({"perplexity_change": 0.11}, "held-out perplexity is 11.0%", "held-out perplexity is 11"),
        ({"perplexity_change": np.nan}, "held-out perplexity", "held-out perplexity is nan"),
        ({"perplexity_change": -0.5}, None, None),
    ],
)
def test_limits(changes: dict[str, Any], fp32: str | None, int8: str | None) -> None:
    for variant, expected in (("fp32", fp32), ("int8", int8)):
        failure = report(**changes).failure(variant)
        assert (failure is None) == (expected is None)
        assert failure is None or failure.startswith(expected or "")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"log_probs": Difference(0.04, "A"), "steps": Difference(0.04, "A")}, None),
        ({"log_probs": Difference(0.06, "A")}, "log-probs differ by 0.06 at A, limit 0.05"),
        ({"state": Difference(np.inf, "A")}, "states differ by inf at A, limit 0.05"),
        ({"heads": Difference(2e-5, "A")}, "outputs disagree by 2e-05 at A, limit 1e-05"),
        (
            {"perplexity_change": 0.002},
            "held-out perplexity is 0.2% worse than PyTorch's, limit 0.1%",
        ),
    ],
)
def test_limits_of_fp16(changes: dict[str, Any], expected: str | None) -> None:
    assert report(**changes).failure("fp16") == expected
