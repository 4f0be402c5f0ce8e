"""How well a model's surprisal and onset entropy predict how long people look at a word.

Usage: python recipes/reading_times.py NATURAL_STORIES [MODEL...]

NATURAL_STORIES is a checkout of the Natural Stories corpus (Futrell et al. 2021) of May 2025 or
later, in which the self-paced reading times are aligned with the words. Its licence does not let us
pass it on. Without a MODEL the bundled one is taken. Needs lmscore[cpu,reading-times].

For every word the mean reading time (milliseconds, over the readers) is regressed on a baseline:
length in characters and logarithm of the frequency, of the word and of the one before. Surprisal
(bits) and entropy at the word's onset (nats), each of the word and of the one before (spill-over),
are added to it. The gain is the difference of the held-out log-likelihoods (nats a word) with and
without them: least squares with Gaussian errors, each story predicted from the other nine
(Goodkind and Bicknell 2018; Wilcox et al. 2020). The standard error is over the stories.
"""

from __future__ import annotations

import csv
import re
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import statsmodels.api as sm
from numpy.typing import NDArray

import lmscore

Array = NDArray[np.float64]

_SENTENCE_END = re.compile(r"[.?!]['\")]*$")
_TITLES = ("Mr.", "Mrs.", "Dr.")
_TABS = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}


@dataclass(frozen=True)
class Reading:
    """The words of all stories in order, with how long and how often they are read."""

    words: list[str]
    stories: NDArray[np.int64]  # [N]
    times: Array  # [N], milliseconds
    log_frequencies: Array  # [N], natural logarithm of one more than the count


def read_stories(root: Path) -> Reading:
    """Read reading times and frequencies from a checkout of Natural Stories.

    Raises OSError or ValueError, naming the file, if it is no such checkout.
    """
    path = root / "naturalstories_RTS" / "processed_wordinfo.tsv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, **_TABS))
    if not rows or not {"word", "zone", "item", "meanItemRT"} <= rows[0].keys():
        raise ValueError(f"{path}: expected the columns word, zone, item and meanItemRT")
    rows.sort(key=lambda row: (int(row["item"]), int(row["zone"])))
    counts = _unigram_counts(root / "freqs" / "freqs-1.tsv")
    frequencies = [counts[f"{row['item']}.{row['zone']}"] for row in rows]
    return Reading(
        [row["word"] for row in rows],
        np.array([int(row["item"]) for row in rows]),
        np.array([float(row["meanItemRT"]) for row in rows]),
        np.log1p(frequencies),
    )


def _unigram_counts(path: Path) -> dict[str, int]:
    """The count of every word, by "story.position"; 0 for the few that have none."""
    counts: dict[str, int] = defaultdict(int)
    with path.open(encoding="utf-8", newline="") as file:
        for code, _, _, count, _ in csv.reader(file, **_TABS):
            position, kind = code.rsplit(".", 1)
            if kind == "word":
                counts[position] = int(count)
    return counts


def sentences(words: list[str], stories: NDArray[np.int64]) -> list[list[int]]:
    """Split the stories into sentences: lists of the numbers of their words.

    A sentence ends at a full stop, question or exclamation mark that no small letter follows.
    """
    found: list[list[int]] = [[]]
    for i, word in enumerate(words):
        found[-1].append(i)
        last = i + 1 == len(words) or stories[i] != stories[i + 1]
        ends = _SENTENCE_END.search(word) and word not in _TITLES
        if last or (ends and not words[i + 1][0].islower()):
            found.append([])
    return found[:-1]


def surprisal_and_entropy(
    model: lmscore.Model, parts: list[list[int]], words: list[str]
) -> tuple[Array, Array]:
    """Surprisal [N] (bits) and entropy at the onset [N] (nats) of N words, sentence by sentence."""
    surprisal, entropy = np.empty(len(words)), np.empty(len(words))
    texts = [" ".join(words[i] for i in part) for part in parts]
    scores = model.score_batch(texts, words=True)
    for part, text, score in zip(parts, texts, scores, strict=True):
        measured = model.measure(text).words[: len(part)]  # without </s>
        for i, word, measures in zip(part, score.words[: len(part)], measured, strict=True):
            if not word.text == measures.text == words[i]:
                raise ValueError(f"{words[i]!r} is scored as the word {word.text!r}")
            surprisal[i], entropy[i] = word.surprisal, measures.onset_entropy
    return surprisal, entropy


def with_word_before(*columns: Array) -> Array:
    """Each column and, beside it, its value at the word before: [N, 2C]."""
    return np.column_stack([shifted for x in columns for shifted in (x, np.roll(x, 1))])


def held_out_log_likelihoods(times: Array, predictors: Array, stories: NDArray[np.int64]) -> Array:
    """The log-density [N] (nats) of each reading time, by a regression on the other stories."""
    found = np.empty(len(times))
    design = sm.add_constant(predictors)
    for story in np.unique(stories):
        held_out = stories == story
        fit = sm.OLS(times[~held_out], design[~held_out]).fit()
        variance = fit.ssr / fit.nobs
        error = times[held_out] - fit.predict(design[held_out])
        found[held_out] = -0.5 * (np.log(2 * np.pi * variance) + error**2 / variance)
    return found


def gain(
    times: Array, baseline: Array, added: Array, stories: NDArray[np.int64]
) -> tuple[float, float]:
    """What `added` [N, A] brings to `baseline` [N, B]: nats a word and its standard error.

    The error is that of the mean over the stories, each of which is held out once.
    """
    with_added = np.column_stack([baseline, added])
    difference = held_out_log_likelihoods(times, with_added, stories)
    difference -= held_out_log_likelihoods(times, baseline, stories)
    means = [difference[stories == story].mean() for story in np.unique(stories)]
    return float(difference.mean()), float(np.std(means, ddof=1) / np.sqrt(len(means)))


def main() -> None:
    root, *models = sys.argv[1:]
    reading = read_stories(Path(root))
    parts = sentences(reading.words, reading.stories)
    lengths = np.array([float(len(word)) for word in reading.words])
    first = np.flatnonzero(np.diff(reading.stories, prepend=0))
    kept = np.setdiff1d(np.arange(len(reading.words)), first)  # the rest have a word before
    baseline = with_word_before(lengths, reading.log_frequencies)[kept]
    times, stories = reading.times[kept], reading.stories[kept]
    print(f"{len(kept)} words, {len(parts)} sentences, {len(np.unique(stories))} stories")
    for name in models or [None]:
        model = lmscore.load(name) if name else lmscore.load()
        surprisal, entropy = surprisal_and_entropy(model, parts, reading.words)
        for label, columns in {
            "surprisal": [surprisal],
            "onset entropy": [entropy],
            "both": [surprisal, entropy],
        }.items():
            mean, error = gain(times, baseline, with_word_before(*columns)[kept], stories)
            print(f"{name or 'english'}\t{label}\t{mean:.4f} +- {error:.4f} nats a word")
        slope = sm.OLS(times, sm.add_constant(np.column_stack([surprisal[kept], baseline]))).fit()
        print(f"{name or 'english'}\t{slope.params[1]:.2f} ms for a bit of surprisal")


if __name__ == "__main__":
    main()
