"""Which words are places, times and people? BIO tags from hidden states, against words alone.

    pip install scikit-learn
    python examples/tagging.py [MODEL]

The sentences are made of patterns, and the names in the test are others than in the training: only
the words around a name tell what it is. A logistic regression tags every word by itself.
"""

from __future__ import annotations

import random
import re
import sys

import numpy as np
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import lmscore

PATTERNS = """
I want to go from PLACE to PLACE on TIME
is there a train to PLACE on TIME
PERSON lives in PLACE with PERSON
tell PERSON that I shall be in PLACE by TIME
on TIME we met PERSON at the station
how far is it from PLACE to PLACE
PERSON and PERSON went to PLACE last TIME
we stayed in PLACE until TIME and saw PERSON
""".strip().splitlines()
NAMES = {
    "PLACE": "London|Paris|New York|Boston|Rome|Chicago|San Francisco|Berlin|Dublin|Vienna|"
    "Los Angeles|Moscow",
    "TIME": "Monday|Tuesday|Friday|Sunday|Christmas day|May|New Year|Wednesday|Saturday|June|"
    "Thursday|Easter morning",
    "PERSON": "John|Mary|Mr. Brown|Alice|Peter|Mrs. Smith|Tom|Ellen|Dr. Jones|Charles|Miss Grey|"
    "Henry",
}
Tagged = list[tuple[str, str]]


def sentences(count: int, *, seed: int, held_out: bool) -> list[Tagged]:
    """Made sentences, as words with their tags; the second half of the names is held out."""
    draw = random.Random(seed)
    choices = {
        kind: names.split("|")[6:] if held_out else names.split("|")[:6]
        for kind, names in NAMES.items()
    }
    found = []
    for _ in range(count):
        tagged: Tagged = []
        for word in draw.choice(PATTERNS).split():
            if word in choices:
                first, *rest = draw.choice(choices[word]).split()
                tagged += [(first, f"B-{word}"), *((part, f"I-{word}") for part in rest)]
            else:
                tagged.append((word, "O"))
        found.append(tagged)
    return found


def spans(tags: list[str]) -> set[tuple[int, int, str]]:
    """The names that tags mark: first word, last word and kind."""
    text = " ".join(tag if tag == "O" else f"{tag[0]}{tag[2:]}" for tag in tags)
    words = text.split()
    found, begin = set(), 0
    for index, tag in enumerate(words):
        if tag == "O":
            continue
        if tag[0] == "B" or index == 0 or words[index - 1][1:] != tag[1:]:
            begin = index
        follows = index + 1 < len(words) and re.fullmatch(f"I{tag[1:]}", words[index + 1])
        if not follows:
            found.add((begin, index, tag[1:]))
    return found


def f1(gold: list[list[str]], tagged: list[list[str]]) -> float:
    """2 P R / (P + R) of whole names with their kind."""
    right = wanted = given = 0
    for one, other in zip(gold, tagged, strict=True):
        a, b = spans(one), spans(other)
        right, wanted, given = right + len(a & b), wanted + len(a), given + len(b)
    return 2 * right / (wanted + given)


def shape(words: list[str], index: int) -> dict[str, object]:
    """What is seen of a word and its neighbours without a model."""
    padded = ["<s>", *words, "</s>"]
    return {
        "word": padded[index + 1],
        "before": padded[index],
        "after": padded[index + 2],
        "capital": padded[index + 1][:1].isupper(),
    }


def scores(model: str | None = None, *, count: int = 300) -> dict[str, float]:
    """F1 of names on the test, by the words around a word, by hidden states, and by both."""
    lm = lmscore.load(model)
    train, test = sentences(count, seed=1, held_out=False), sentences(count, seed=2, held_out=True)
    texts = {id(part): [[w for w, _ in s] for s in part] for part in (train, test)}
    tags = {id(part): [[t for _, t in s] for s in part] for part in (train, test)}

    def around(part: list[Tagged]) -> list[dict[str, object]]:
        return [shape(words, index) for words in texts[id(part)] for index in range(len(words))]

    def states(part: list[Tagged]) -> np.ndarray:
        lines = (" ".join(words) for words in texts[id(part)])
        rows = []
        for of_words in lm.features_stream(lines, unit="word", pool="last"):
            before = np.vstack([np.zeros_like(of_words[:1]), of_words[:-1]])
            rows.append(np.hstack([before, of_words]))  # what is expected, and what came
        return np.concatenate(rows)

    flat = [tag for row in tags[id(train)] for tag in row]
    shapes = DictVectorizer(sparse=False).fit(around(train))
    views = {
        "words around": lambda part: shapes.transform(around(part)),
        "hidden states": states,
        "both": lambda part: np.hstack([shapes.transform(around(part)), states(part)]),
    }
    found = {}
    for name, view in views.items():
        tagger = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
        tagger.fit(view(train), flat)
        said = iter(tagger.predict(view(test)).tolist())
        found[name] = f1(tags[id(test)], [[next(said) for _ in row] for row in tags[id(test)]])
    return found


if __name__ == "__main__":
    for name, score in scores(*sys.argv[1:2]).items():
        print(f"{name:<16}F1 {100 * score:5.1f} %")
