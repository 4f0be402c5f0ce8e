"""Model directories with damage drawn at random, in bytes and in JSON: an error of ours, or scores.

A changed graph or tokenizer is signed again, as an attacker would, and may well give other scores.
Graphs are loaded in a process of their own: ONNX Runtime is native code.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmscore.bundle import (
    CONFIG_FILE,
    PARITY_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    Bundle,
    Parity,
    graph_file,
    load_weights,
)
from lmscore.errors import LmscoreError
from lmscore.runtime.load import load
from tests.hostile.directory import FP32_FILE, copied, forge

TEXTS = ["the cat sat on the mat", "", "hello é <s> 🏳"]

KINDS = ("flip", "put", "insert", "cut", "end", "repeat")
Damage = tuple[str, float, bytes]  # what is done, where (0..1), and the bytes for it
DAMAGE = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.floats(0, 1, exclude_max=True),
        st.binary(min_size=1, max_size=9),
    ),
    min_size=1,
    max_size=4,
)


def damaged(data: bytes, damages: list[Damage]) -> bytes:
    for what, place, content in damages:
        at, size = int(place * len(data)), len(content)
        middle = {
            "flip": bytes(a ^ b for a, b in zip(data[at:], content, strict=False)),
            "put": content,
            "insert": content + data[at : at + size],
            "cut": b"",
            "end": b"",
            "repeat": data[at : at + size] * 2,
        }[what]
        data = data[:at] + middle + (b"" if what == "end" else data[at + size :])
    return data


@pytest.fixture(scope="module")
def model(bpe_model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory that every example spoils in another way."""
    return copied(bpe_model_path, tmp_path_factory.mktemp("fuzz") / "model")


@contextmanager
def spoilt(path: Path, name: str, data: bytes, *, sign: bool = False) -> Iterator[None]:
    """The directory with another content in one of its files."""
    kept = {file: (path / file).read_bytes() for file in (name, CONFIG_FILE)}
    (path / name).write_bytes(data)
    if sign:
        forge(path)
    try:
        yield
    finally:
        for file, content in kept.items():
            (path / file).write_bytes(content)


def check_one_line(error: LmscoreError) -> None:
    assert "\n" not in str(error)


def scores(path: Path, variant: str = "fp32") -> list[float] | None:
    """What a model gives, None if it is refused; anything else is a defect."""
    try:
        bundle = Bundle.read(path)
        assert bundle.config.num_parameters > 0
        lm = load(path, variant=variant, threads=1)
        found = [score.log_prob for score in lm.score_batch(TEXTS)]
        lm.sample("the", max_tokens=3, seed=1)
        lm.step([1], lm.initial_state())
    except LmscoreError as error:
        check_one_line(error)
        return None
    assert all(map(math.isfinite, found))
    return found


@pytest.mark.parametrize("name", [FP32_FILE, TOKENIZER_FILE])
@given(damages=DAMAGE)
@settings(max_examples=40)
def test_damage_is_noticed(model: Path, name: str, damages: list[Damage]) -> None:
    original = (model / name).read_bytes()
    data = damaged(original, damages)
    with spoilt(model, name, data):
        assert (scores(model) is None) == (data != original)


@pytest.mark.parametrize(("name", "examples"), [(CONFIG_FILE, 200), (TOKENIZER_FILE, 150)])
def test_damaged_text_files(model: Path, name: str, examples: int) -> None:
    original = (model / name).read_bytes()

    @given(DAMAGE)
    @settings(max_examples=examples)
    def check(damages: list[Damage]) -> None:
        with spoilt(model, name, damaged(original, damages), sign=name == TOKENIZER_FILE):
            scores(model)

    check()


@given(DAMAGE)
@settings(max_examples=150)
def test_damaged_parity(model: Path, damages: list[Damage]) -> None:
    config = Bundle.read(model).config
    data = damaged((model / PARITY_FILE).read_bytes(), damages)
    with spoilt(model, PARITY_FILE, data), suppress(LmscoreError):
        Parity.load(Bundle(model, config))


@given(DAMAGE)
@settings(max_examples=150)
def test_damaged_weights(model: Path, damages: list[Damage]) -> None:
    bundle = Bundle.read(model)
    data = damaged((model / WEIGHTS_FILE).read_bytes(), damages)
    with spoilt(model, WEIGHTS_FILE, data), suppress(LmscoreError):
        weights = load_weights(bundle)
        assert {name: weight.shape for name, weight in weights.items()} == (
            bundle.config.weight_shapes()
        )


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from([0, 1, -1, 2**31, 2**63, 10**18, 10**30, 1e308, math.nan, math.inf, ""]),
        st.text(max_size=5),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


def changed_json(data: bytes, draw: Callable[[st.SearchStrategy[Any]], Any]) -> bytes:
    """A JSON document in which one value is another, is gone, or is new."""
    document = json.loads(data)
    place = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw(st.sampled_from(keys))
        if not (isinstance(place[key], dict | list) and place[key] and draw(st.booleans())):
            break
        place = place[key]
    what = draw(st.sampled_from(["replace", "delete", "add"]))
    if what == "replace":
        place[key] = draw(JSON)
    elif what == "delete":
        del place[key]
    elif isinstance(place, dict):
        place[draw(st.text(max_size=5))] = draw(JSON)
    else:
        place.append(draw(JSON))
    return json.dumps(document).encode()


@pytest.mark.parametrize(("name", "examples"), [(CONFIG_FILE, 300), (TOKENIZER_FILE, 150)])
def test_changed_json(model: Path, name: str, examples: int) -> None:
    original = (model / name).read_bytes()

    @given(st.data())
    @settings(max_examples=examples)
    def check(data: st.DataObject) -> None:
        with spoilt(model, name, changed_json(original, data.draw), sign=name == TOKENIZER_FILE):
            scores(model)

    check()


def spoil_graphs(path: Path, variant: str, examples: int) -> None:
    """Load and run damaged graphs; the last one stays where it is."""
    name = graph_file(variant)
    original = (path / name).read_bytes()
    for seed in range(examples):
        drawn = random.Random(seed)
        damages = [
            (drawn.choice(KINDS), drawn.random(), drawn.randbytes(drawn.randint(1, 9)))
            for _ in range(drawn.randint(1, 3))
        ]
        (path / name).write_bytes(damaged(original, damages))
        forge(path)
        scores(path, variant)


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_damaged_graphs(bpe_model_path: Path, tmp_path: Path, variant: str) -> None:
    path = copied(bpe_model_path, tmp_path / "model")
    child = multiprocessing.get_context("spawn").Process(
        target=spoil_graphs, args=(path, variant, 400)
    )
    child.start()
    child.join(100)
    hangs = child.is_alive()
    child.kill()
    child.join()
    assert not hangs
    assert child.exitcode == 0, f"{path / graph_file(variant)} is what did it"
