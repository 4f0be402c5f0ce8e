"""One model in many processes, and a scoring process that stays small."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import lmscore
from lmscore.bundle import Bundle
from lmscore.errors import ModelError
from lmscore.runtime.engine import Engine, Graph, open_session
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.text.tokenizer import TextTokenizer

TEXTS = ["the cat sat", "thanks for all the fish"] * 8
THREADS = 8


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("dict", "sys.exit()"),
        ("dict", "del lm"),
        ("dict", "lm.score('the cat')"),
        ("gc.collect", "pass"),
    ],
)
def test_a_forked_process_ends(model_path: Path, first: str, then: str) -> None:
    """Whatever it does with the sessions it inherited, whose threads wait in the parent."""
    script = (
        "import gc, os, sys, time\n"
        f"os.register_at_fork(after_in_child={first})\n"
        "import lmscore\n"
        "gc.disable()\n"
        "lm = lmscore.load(sys.argv[1], threads=2)\n"
        "garbage = [lmscore.load(sys.argv[1], threads=2)]\n"
        "garbage.append(garbage)\n"
        "del garbage\n"
        "time.sleep(1)  # threads of a session spin for a moment before they wait\n"
        "child = os.fork()\n"
        "if child:\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "else:\n"
        f"    {then}\n"
        "    gc.collect()\n"
    )
    subprocess.run([sys.executable, "-c", script, model_path], timeout=120, check=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forks_while_threads_are_busy(model_path: Path) -> None:
    """What another thread was doing, such as opening a model, does not block the child.

    More forks: LMSCORE_TEST_FORKS=500.
    """
    script = (
        "import os, sys, threading, time, lmscore\n"
        "lm = lmscore.load(sys.argv[1], threads=2)\n"
        "def load():\n"
        "    while True:\n"
        "        lmscore.load(sys.argv[1], threads=2).next_words('the')\n"
        "def score():\n"
        "    while True:\n"
        "        lm.score_batch(['the cat sat'] * 2000)\n"
        "for work in (load, score):\n"
        "    threading.Thread(target=work, daemon=True).start()\n"
        "expected = lm.score('the cat')\n"
        "for number in range(int(sys.argv[2])):\n"
        "    time.sleep(0.003 * (number % 5))\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        assert lm.score('the cat') == expected\n"
        "        assert lm.next_words('the')\n"
        "        os._exit(0)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "os._exit(0)\n"
    )
    count = os.environ.get("LMSCORE_TEST_FORKS", "6")
    subprocess.run([sys.executable, "-c", script, model_path, count], timeout=300, check=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_stream_goes_on_only_where_it_was_begun(model_path: Path) -> None:
    script = (
        "import os, sys, lmscore\n"
        "lm = lmscore.load(sys.argv[1], threads=2)\n"
        "scores = lm.score_stream(['the cat'] * 100, window=5)\n"
        "next(scores)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    try:\n"
        "        list(scores)\n"
        "    except lmscore.LmscoreError as error:\n"
        "        print(error, flush=True)\n"
        "    assert len(list(lm.score_stream(['the cat'] * 100, window=5))) == 100\n"
        "    sys.exit()\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert len(list(scores)) == 99\n"
    )
    command = [sys.executable, "-c", script, str(model_path)]
    done = subprocess.run(command, timeout=60, check=True, capture_output=True, text=True)
    assert done.stdout == (
        "this stream of scores was begun before a fork, and its threads are those of the other "
        "process: begin it in this process\n"
    )


def test_another_model_in_the_directory_of_a_pickled_one(
    model_path: Path, bpe_model_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model"
    shutil.copytree(model_path, path)
    data = pickle.dumps(lmscore.load(path, variant="fp32"))
    assert log_probs(pickle.loads(data))
    shutil.rmtree(path)
    shutil.copytree(bpe_model_path, path)
    with pytest.raises(ModelError, match=f"{path}: holds another model than when this one was"):
        pickle.loads(data)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_another_model_in_the_directory_of_a_forked_one(
    model_path: Path, bpe_model_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model"
    shutil.copytree(model_path, path)
    script = (
        "import os, shutil, sys, lmscore\n"
        "lm = lmscore.load(sys.argv[1], variant='fp32', threads=2)\n"
        "shutil.rmtree(sys.argv[1])\n"
        "shutil.copytree(sys.argv[2], sys.argv[1])\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    try:\n"
        "        lm.score('the cat')\n"
        "    except lmscore.LmscoreError as error:\n"
        "        print(error, flush=True)\n"
        "    os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert lm.score('the cat').num_tokens == 3\n"
    )
    command = [sys.executable, "-c", script, str(path), str(bpe_model_path)]
    done = subprocess.run(command, timeout=60, check=True, capture_output=True, text=True)
    assert done.stdout.startswith(f"{path}: holds another model than when this one was loaded")


def test_a_model_that_is_dropped_is_freed(model_path: Path) -> None:
    lm = lmscore.load(model_path, threads=2)
    lm.score_batch(TEXTS * 200)  # in several batches: its workers have opened a graph, too
    assert lm.engine.workers is not None
    engine, workers = weakref.ref(lm.engine), weakref.ref(lm.engine.workers)
    gc.disable()
    try:
        del lm
        assert engine() is None
        assert workers() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("said", [None, "true"])
def test_nothing_is_reported(model_path: Path, tmp_path: Path, said: str | None) -> None:
    """ONNX Runtime's reports would leave a device identifier and a queue in the user's cache."""
    environment = os.environ | {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    for name in ("ORT_DISABLE_TELEMETRY", "CI"):  # nothing is reported from a CI either
        environment.pop(name, None)
    if said is not None:
        environment["ORT_DISABLE_TELEMETRY"] = said
    script = (
        "import os, sys, lmscore\n"
        "lmscore.load(sys.argv[1]).score('the cat')\n"
        "print(os.environ['ORT_DISABLE_TELEMETRY'])\n"
    )
    command = [sys.executable, "-c", script, str(model_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (said or "1")
    assert not list(tmp_path.iterdir())


def work(lm: LanguageModel, number: int) -> tuple[list[float], list[bytes], list[str]]:
    """What a thread does with a model, differently for each number."""
    start = number % 5
    scores = [score.log_prob for score in lm.score_batch(TEXTS[start:], context="document")]
    steps = []
    state = lm.initial_state(2)
    for token in range(start, start + 10):
        log_probs, state = lm.step([token, number], state, parents=[1, 0])
        steps.append(log_probs.tobytes() + bytes(str(hash(state)), "ascii"))
    samples = lm.sample("the", num_samples=2, max_tokens=8, seed=number)
    return scores, steps, [sample.text for sample in samples]


@pytest.mark.parametrize("keep_state_on_device", [False, True])
@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_threads_that_share_a_model_give_the_answers_of_one(
    model_path: Path, variant: str, keep_state_on_device: bool
) -> None:
    bundle = Bundle.read(model_path)
    path = bundle.graph_path(variant)
    session = open_session(path, device="cpu", threads=2)
    graph = Graph(session, bundle.config, variant, path, keep_state_on_device=keep_state_on_device)
    lm = LanguageModel(bundle, Engine(graph), TextTokenizer.load(bundle), reload=lambda: lm)
    numbers = list(range(THREADS)) * 4
    expected = [work(lm, number) for number in numbers]
    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(lambda number: work(lm, number), numbers)) == expected


def test_threads_may_load_at_the_same_time(model_path: Path) -> None:
    def load_and_score(_: int) -> float:
        return lmscore.load(model_path).score("the cat sat").log_prob

    with ThreadPoolExecutor(THREADS) as pool:
        assert len(set(pool.map(load_and_score, range(THREADS)))) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_model_on_a_gpu_refuses_to_be_forked(model_path: Path) -> None:
    """It would hang or crash: CUDA does not survive a fork."""
    script = (
        "import sys, multiprocessing, lmscore\n"
        "lm = lmscore.load(sys.argv[1])\n"
        "lm.engine.device = 'cuda:0'\n"  # so it believes
        "def work(_):\n"
        "    try:\n"
        "        lm.score('the cat')\n"
        "    except lmscore.LmscoreError as error:\n"
        "        return type(error).__name__, str(error)\n"
        "lm.score('the cat')\n"
        "with multiprocessing.get_context('fork').Pool(1) as pool:\n"
        "    print(*pool.map_async(work, [0]).get(20)[0])\n"
        "lm.score('the cat')\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, model_path],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert run.stdout.startswith(
        "DeviceError a model on cuda:0 does not survive a fork: start processes by the spawn method"
    )
    assert run.stderr == ""


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
