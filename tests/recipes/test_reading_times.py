"""The regression of reading times, on readings that are made with an effect of known size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("statsmodels")
import reading_times as recipe

WORDS, STORIES, NOISE = 2000, 10, 20.0

# Stories [N], a baseline [N, 2], surprisal [N], and reading times [N] without an effect of it.
Made = tuple[NDArray[np.int64], recipe.Array, recipe.Array, recipe.Array]


@pytest.fixture(scope="module")
def made() -> Made:
    rng = np.random.default_rng(5)
    stories = np.repeat(np.arange(STORIES), WORDS // STORIES)
    baseline = rng.normal(size=(WORDS, 2))
    surprisal = rng.gamma(2.0, 3.0, WORDS)
    quiet = 300 + baseline @ [12.0, -7.0] + rng.normal(0, NOISE, WORDS)
    return stories, baseline, surprisal, quiet


@pytest.mark.parametrize("slope", [1.0, 4.0])
def test_the_gain_of_a_known_effect(made: Made, slope: float) -> None:
    """Without the predictor its variance is noise: the gain is half a log of their ratio."""
    stories, baseline, surprisal, quiet = made
    gain, error = recipe.gain(quiet + slope * surprisal, baseline, surprisal[:, None], stories)
    expected = 0.5 * np.log1p(slope**2 * surprisal.var() / NOISE**2)
    assert gain == pytest.approx(expected, abs=3 * error)
    assert 0 < error < expected / 2


def test_a_predictor_without_effect_gains_nothing(made: Made) -> None:
    stories, baseline, surprisal, quiet = made
    gain, error = recipe.gain(quiet, baseline, surprisal[:, None], stories)
    assert abs(gain) < 3 * error + 1e-3


def test_spill_over(made: Made) -> None:
    """An effect of the word before is found in the column of the word before."""
    stories, baseline, surprisal, quiet = made
    times = quiet + 4 * np.roll(surprisal, 1)
    gain, _ = recipe.gain(times, baseline, recipe.with_word_before(surprisal), stories)
    alone, _ = recipe.gain(times, baseline, surprisal[:, None], stories)
    assert gain == pytest.approx(0.5 * np.log1p(16 * surprisal.var() / NOISE**2), abs=0.05)
    assert abs(alone) < 0.01


def test_each_story_is_predicted_from_the_others(made: Made) -> None:
    """A story whose times were a hundred times slower does not fit itself."""
    stories, baseline, _, quiet = made
    times = np.where(stories == 0, 100 * quiet, quiet)
    densities = recipe.held_out_log_likelihoods(times, baseline, stories)
    assert densities[stories == 0].mean() < -1000


def test_sentences() -> None:
    words = ["'Who", "knows?'", "asked", "Mr.", "Low.", "He", "left.", "The", "end"]
    stories = np.array([1] * 7 + [2] * 2)
    assert recipe.sentences(words, stories) == [[0, 1, 2, 3, 4], [5, 6], [7, 8]]


def write(root: Path, header: str) -> None:
    (root / "naturalstories_RTS").mkdir()
    (root / "freqs").mkdir()
    (root / "naturalstories_RTS" / "processed_wordinfo.tsv").write_text(
        f'{header}\nwas\t2\t1\t9\t310.5\n"It\t1\t1\t9\t300\nMr.\t1\t2\t9\t320\n'
    )
    (root / "freqs" / "freqs-1.tsv").write_text(
        "1.1.whole\t1\tIt\t99\tNA\n1.1.word\t1\tIt\t6\tNA\n1.2.word\t1\twas\t2\tNA\n"
    )


def test_reading_the_corpus(tmp_path: Path) -> None:
    write(tmp_path, "word\tzone\titem\tnItem\tmeanItemRT")
    reading = recipe.read_stories(tmp_path)
    assert reading.words == ['"It', "was", "Mr."]
    assert reading.stories.tolist() == [1, 1, 2]
    assert reading.times.tolist() == [300, 310.5, 320]
    assert reading.log_frequencies == pytest.approx(np.log([7, 3, 1]))


def test_another_table_is_named(tmp_path: Path) -> None:
    write(tmp_path, "token\tzone\titem\tnItem\tmeanItemRT")
    with pytest.raises(ValueError, match=r"processed_wordinfo\.tsv: expected the columns word"):
        recipe.read_stories(tmp_path)
