"""One model in many processes, and a scoring process that stays small."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from lmscore.runtime.model import LanguageModel

TEXTS = ["the cat sat", "thanks for all the fish"] * 8


def log_probs(lm: LanguageModel) -> list[float]:
    return [score.log_prob for score in lm.score_batch(TEXTS)]


def test_pickled_by_path(lm: LanguageModel, lm_int8: LanguageModel) -> None:
    for model in (lm, lm_int8):
        data = pickle.dumps(model)
        assert len(data) < 1000
        again = pickle.loads(data)
        assert (again.path, again.variant, again.device) == (model.path, model.variant, "cpu")
        assert log_probs(again) == log_probs(model)


@pytest.mark.parametrize(
    "method", [m for m in ("fork", "spawn") if m in multiprocessing.get_all_start_methods()]
)
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_child_processes_give_the_same_scores(
    lm: LanguageModel, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    expected = log_probs(lm)  # the model has worked here before the fork
    with multiprocessing.get_context(method).Pool(2) as pool:
        results = pool.map_async(log_probs, [lm, lm]).get(timeout=60)
    assert results == [expected, expected]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_model_inherited_by_fork_works(model_path: Path) -> None:
    script = (
        "import sys, multiprocessing, lmscore\n"
        "lm = lmscore.load(sys.argv[1], threads=2)\n"
        "def scores(_):\n"
        "    return lm.score_batch(['the cat sat on the mat'] * 40)\n"
        "expected = scores(0)\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool:\n"
        "    assert pool.map_async(scores, range(8)).get(20) == [expected] * 8\n"
        "assert scores(0) == expected\n"
    )
    subprocess.run([sys.executable, "-c", script, model_path], timeout=60, check=True)


def test_scoring_imports_nothing_heavy(model_path: Path) -> None:
    script = (
        "import sys, lmscore\n"
        "light = 'numpy' not in sys.modules\n"
        "lmscore.load(sys.argv[1]).score_batch(['the cat', ''])\n"
        "heavy = {'torch', 'onnx', 'typer', 'safetensors', 'rich'} & set(sys.modules)\n"
        "print(light, sorted(heavy))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, model_path],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert run.stdout == "True []\n"
    assert run.stderr == ""
