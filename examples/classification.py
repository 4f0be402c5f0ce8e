"""Who wrote a sentence? A classifier on hidden states, against one on a bag of words.

    pip install scikit-learn
    python examples/classification.py [MODEL]

The sentences are those of examples/data: the tales of Beatrix Potter and of L. Frank Baum, one tale
of each held out. Both classifiers are logistic regressions.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import lmscore

DATA = Path(__file__).parent / "data"
FIRST_OF_BAUM = "In the splendid palace of the Emerald City"
HELD_OUT_OF_BAUM = "One morning the Tin Woodman"


def labelled(name: str, first: str) -> tuple[list[str], np.ndarray]:
    """The sentences of a file, and 1 for those from the sentence on that begins so."""
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith(first))
    return lines, np.arange(len(lines)) >= begin


def accuracies(model: str | None = None) -> dict[str, float]:
    """The share of held-out sentences that each classifier gives to the right author."""
    lm = lmscore.load(model)
    train, authors = labelled("corpus.txt", FIRST_OF_BAUM)
    test, wanted = labelled("held-out.txt", HELD_OUT_OF_BAUM)
    balanced = {"class_weight": "balanced", "max_iter": 2000}

    words = make_pipeline(CountVectorizer(), LogisticRegression(**balanced))
    words.fit(train, authors)

    states = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, **balanced))
    states.fit(np.stack(list(lm.features_stream(train, pool="mean"))), authors)
    of_test = np.stack(list(lm.features_stream(test, pool="mean")))
    both = words.predict_log_proba(test) + states.predict_log_proba(of_test)
    return {
        "always the more frequent": max(wanted.mean(), 1 - wanted.mean()),
        "bag of words": words.score(test, wanted),
        "hidden states": states.score(of_test, wanted),
        "both": float((both.argmax(axis=1) == wanted).mean()),
    }


if __name__ == "__main__":
    for name, accuracy in accuracies(*sys.argv[1:2]).items():
        print(f"{name:<26}{100 * accuracy:5.1f} %")
