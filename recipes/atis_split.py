"""The ATIS lists of HyPoradise, parted: what a model is trained on, and what weights are tuned on.

Usage: python recipes/atis_split.py TRAIN.json DIR

A model's scores of sentences it was trained on are too good, so weights are not tuned on those: of
the lists, in random order, the references of 2,900 go to DIR/adapt.txt and of 100 to DIR/valid.txt;
the other lists go to DIR/tune.json.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path


def main() -> None:
    lists, out = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    random.Random(0).shuffle(lists)
    for name, part in {"adapt.txt": lists[:2900], "valid.txt": lists[2900:3000]}.items():
        (out / name).write_text("".join(one["output"] + "\n" for one in part))
    (out / "tune.json").write_text(json.dumps(lists[3000:]))


if __name__ == "__main__":
    main()
