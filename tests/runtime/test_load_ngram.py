"""An ARPA file as a language model: the scores of KenLM, and what every model does."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lmscore
from lmscore.errors import DeviceError, LmscoreError, ModelError, OptionError, VariantError
from lmscore.runtime.engine import State
from lmscore.runtime.ngram import BOS, LN10, UNK
from lmscore.runtime.rescoring.models import score_lists
from tests.runtime.ngram.golden import DATA

MODELS = {name: lmscore.load(DATA / f"{name}.arpa") for name in ("unigrams", "trigrams", "pruned")}
TRIGRAMS = MODELS["trigrams"]
words = st.sampled_from(["the", "cat", "dog", "a", "sees", "old", "sleeps", "in", "strange", "<s>"])
texts = st.lists(st.lists(words, max_size=12).map(" ".join), min_size=1, max_size=6)


@pytest.mark.parametrize("name", ["trigrams", "pruned"])
def test_scores_are_those_of_kenlm(name: str) -> None:
    lines = (DATA / "probes.txt").read_text().splitlines()
    expected = [float(line) for line in (DATA / f"{name}.scores").read_text().splitlines()]
    scores = MODELS[name].score_batch(lines, words=True)
    found = [word.log_prob / LN10 for score in scores for word in score.words]
    assert found == pytest.approx(expected, abs=1e-5)
    assert [score.num_oov for score in scores] == [1, 0, 0, 0]


@given(st.sampled_from(list(MODELS)), texts)
def test_steps_give_the_scores(name: str, lines: list[str]) -> None:
    lm = MODELS[name]
    for score in lm.score_batch(lines):
        state, total, token = lm.initial_state(), 0.0, BOS
        for following in [*lm.encode(score.text).tolist(), lm.config.eos_token_id]:
            log_probs, state = lm.step([token], state)
            total += float(log_probs[0, following])
            token = following
        assert score.log_prob == pytest.approx(total, abs=1e-4)


@given(texts)
def test_batched_as_alone_and_in_chunks(lines: list[str]) -> None:
    batch = [score.log_prob for score in TRIGRAMS.score_batch(lines)]
    assert batch == pytest.approx([TRIGRAMS.score(line).log_prob for line in lines])
    ids = TRIGRAMS.encode(" ".join(lines))
    whole = TRIGRAMS.engine.read(ids)
    state = TRIGRAMS.engine.read(ids[:3]).state if len(ids) > 3 else None
    if state is not None:
        rest = TRIGRAMS.engine.read(ids[3:], state)
        assert np.array_equal(rest.log_probs, whole.log_probs)
        assert rest.state == whole.state


def test_hypotheses_are_reordered() -> None:
    first = TRIGRAMS.engine.read(TRIGRAMS.encode("the cat"))
    second = TRIGRAMS.engine.read(TRIGRAMS.encode("a dog"))
    both = State.concat([first.state, second.state])
    token = int(TRIGRAMS.encode("sees")[0])
    log_probs, _ = TRIGRAMS.step([token, token, token], both, parents=[1, 0, 1])
    alone = [
        TRIGRAMS.engine.read(TRIGRAMS.encode(t)).log_probs[0]
        for t in ("a dog sees", "the cat sees")
    ]
    assert np.array_equal(log_probs, [alone[0], alone[1], alone[0]])


@pytest.mark.parametrize("name", list(MODELS))
def test_distributions(name: str) -> None:
    step = MODELS[name].engine.read(MODELS[name].encode("the cat"))
    probabilities = np.exp(step.log_probs[0].astype(np.float64))
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert probabilities[BOS] < 1e-90
    top = MODELS[name].engine.top([BOS], MODELS[name].initial_state(), 5)
    first = MODELS[name].engine.step([BOS], MODELS[name].initial_state()).log_probs[0]
    assert top.log_probs[0].tolist() == sorted(first.tolist(), reverse=True)[:5]


@given(st.sampled_from(list(MODELS)), texts)
def test_a_word_is_as_likely_as_itself(name: str, lines: list[str]) -> None:
    """The bits of a target are those of the distribution, or ranks are of a word behind itself."""
    for measured in MODELS[name].measure_stream(lines, alternatives=MODELS[name].vocab_size):
        for token in measured.tokens:
            log_probs = dict(token.alternatives)
            assert log_probs[token.text] == token.log_prob
            assert token.rank == 1 + sum(p > token.log_prob for p in log_probs.values())


def test_unigrams_along_a_tree() -> None:
    lm, texts = MODELS["unigrams"], ["the cat", "the dog", "the"]
    (found,) = score_lists(lm, [texts], method="tree")
    assert [s.log_prob for s in found.scores] == [s.log_prob for s in lm.score_batch(texts)]


@pytest.mark.parametrize("counts", [(5, 0), (5, 0, 0), (5, 0, 0, 0)])
def test_orders_without_ngrams(tmp_path: Path, counts: tuple[int, ...]) -> None:
    unigrams = "-1\t<unk>\n-99\t<s>\n-1\t</s>\n-0.5\ta\n-0.6\tb\n"
    sizes = "".join(f"ngram {n}={count}\n" for n, count in enumerate(counts, 1))
    path = tmp_path / "empty.arpa"
    path.write_text(f"\\data\\\n{sizes}\n\\1-grams:\n{unigrams}\n\\end\\\n")
    lm = lmscore.load(path)
    assert lm.score("a b").log_prob == pytest.approx(-2.1 * LN10)
    (found,) = score_lists(lm, [["a b", "a"]], method="tree")
    assert found.scores[1].log_prob == pytest.approx(-1.5 * LN10)


def test_next_words_and_samples() -> None:
    best = TRIGRAMS.next_words("in the", k=3)
    step = np.exp(TRIGRAMS.engine.read(TRIGRAMS.encode("in the")).log_probs[0])
    step[UNK] = 0
    for word, probability in best:
        assert probability == pytest.approx(step[TRIGRAMS.encode(word)[0]])
    assert [p for _, p in best] == pytest.approx(np.sort(step)[::-1][:3].tolist())
    samples = TRIGRAMS.sample("the cat", num_samples=3, seed=1)
    assert samples == TRIGRAMS.sample("the cat", num_samples=3, seed=1)
    before = TRIGRAMS.score("the cat", eos=False).log_prob
    for sample in samples:
        whole = TRIGRAMS.score(f"the cat{sample.text}").log_prob
        assert sample.log_prob == pytest.approx(whole - before, abs=1e-4)


def test_measures_and_choices() -> None:
    measures = TRIGRAMS.measure("the cat sees", alternatives=2)
    assert len(measures.tokens) == 4
    assert TRIGRAMS.choose("the ", ["cat", "zebras"], "")[0].text == "cat"


def test_what_it_says_of_itself() -> None:
    assert (TRIGRAMS.variant, TRIGRAMS.device, TRIGRAMS.vocab_size) == ("3-gram", "cpu", 73)
    assert TRIGRAMS.path == DATA / "trigrams.arpa"
    again = pickle.loads(pickle.dumps(TRIGRAMS))
    assert again.score("the cat").log_prob == TRIGRAMS.score("the cat").log_prob


CLOSED = r"""
\data\
ngram 1=4
ngram 2=2

\1-grams:
-1.0	</s>
-99	<s>	-0.5
-0.5	the	-0.25
-0.75	cat

\2-grams:
-0.25	<s> the
-0.0625	cat </s>

\end\
"""


@pytest.mark.parametrize(("options", "cost"), [({}, 100 * LN10), ({"unk_penalty": 7}, 7.0)])
def test_what_an_unknown_word_costs(tmp_path: Path, options: dict[str, float], cost: float) -> None:
    (tmp_path / "closed.arpa").write_text(CLOSED)
    lm = lmscore.load(tmp_path / "closed.arpa", **options)  # type: ignore[arg-type]
    score = lm.score("the dog", words=True)
    assert [word.log_prob for word in score.words] == pytest.approx(
        [-0.25 * LN10, -0.25 * LN10 - cost, -1.0 * LN10]
    )
    assert lm.unk_penalty == pytest.approx(cost)
    assert score.num_oov == 1
    again = pickle.loads(pickle.dumps(lm))
    assert again.score("the dog").log_prob == lm.score("the dog").log_prob


def test_another_model_in_the_place_of_a_pickled_one(tmp_path: Path) -> None:
    path = tmp_path / "closed.arpa"
    path.write_text(CLOSED)
    stored = pickle.dumps(lmscore.load(path))
    path.write_text(CLOSED.replace("-0.75\tcat", "-0.70\tcat"))
    with pytest.raises(
        ModelError, match=r"closed\.arpa: holds another model than when this one was"
    ):
        pickle.loads(stored)
    path.write_text(CLOSED)
    assert pickle.loads(stored).score("cat") == lmscore.load(path).score("cat")


@pytest.mark.parametrize("penalty", [-1, float("inf"), float("nan"), True, "7"])
def test_costs_of_unknown_words_that_are_none(penalty: object) -> None:
    with pytest.raises(OptionError, match="unk_penalty must be a number of nats, 0 to 1e9"):
        lmscore.load(DATA / "unigrams.arpa", unk_penalty=penalty)  # type: ignore[arg-type]


def test_a_model_with_an_unknown_word_says_what_it_costs() -> None:
    assert TRIGRAMS.unk_penalty is None
    with pytest.raises(OptionError, match="`unk_penalty` is for n-gram models without <unk>"):
        lmscore.load(DATA / "trigrams.arpa", unk_penalty=7)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"the cat\n", ModelError, "no ARPA file"),
        (b"mmap lm http://kheafield.com/code format version 5\n\0", ModelError, "binary file of"),
    ],
)
def test_files_that_are_no_arpa(
    tmp_path: Path, content: bytes, error: type[LmscoreError], message: str
) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(error, match=message):
        lmscore.load(tmp_path / "file")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"device": "cuda"}, DeviceError, "an n-gram model runs on the CPU"),
        ({"variant": "int8"}, VariantError, "an n-gram model has no variants"),
        ({"unnormalized": True}, OptionError, "an n-gram model is normalised"),
    ],
)
def test_options_that_are_for_graphs(
    options: dict[str, object], error: type[LmscoreError], message: str
) -> None:
    with pytest.raises(error, match=message):
        lmscore.load(DATA / "unigrams.arpa", **options)  # type: ignore[arg-type]
