"""How scores without the softmax rank the hypotheses of n-best lists, beside exact ones.

Usage: python recipes/rank_agreement.py MODEL LISTS...

Prints the mean of Kendall's tau over the lists with two different texts or more, and how often both
find the same hypothesis the likeliest.
"""

from __future__ import annotations

import sys

import numpy as np

import lmscore
from lmscore.runtime.checking import rank_agreement
from lmscore.runtime.rescoring.formats import read
from lmscore.runtime.rescoring.models import score_lists


def main() -> None:
    model, *paths = sys.argv[1:]
    _, lists = read(paths, None)
    texts = [list(dict.fromkeys(h.text for h in nbest.hypotheses)) for nbest in lists]
    texts = [distinct for distinct in texts if len(distinct) > 1]
    exact, unnormalized = (
        [
            np.array([score.log_prob for score in found.scores])
            for found in score_lists(lmscore.load(model, unnormalized=flag), texts)
        ]
        for flag in (False, True)
    )
    pairs = list(zip(exact, unnormalized, strict=True))
    tau = np.mean([rank_agreement(*pair) for pair in pairs])
    same = np.mean([a.argmax() == b.argmax() for a, b in pairs])
    print(f"{len(pairs)} lists: Kendall's tau {tau:.4f}, the same first in {same:.2%}")


if __name__ == "__main__":
    main()
