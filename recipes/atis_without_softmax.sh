#!/usr/bin/env bash
# What n-best lists lose when they are rescored without the softmax: the bundled model, adapted to the
# domain of the ATIS lists and taught to normalise itself; weights from the training lists, WER on the
# test lists, scored exactly and without the softmax; and how far the two agree within a list.
#
# Usage: recipes/atis_without_softmax.sh TRAIN.json TEST.json DIR [ALPHA]
#   ALPHA  the weight of (log Z)^2, 1 by default: more than a training from the start needs, since the
#          model has to learn in a few hundred updates to do without its softmax
# Needs lmscore[cpu,train,tune] and a checkout, whose bundled model has its weights.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
train=$1 test=$2 out=$3 alpha=${4:-1}
mkdir -p "$out"

# An LM's scores of sentences it was trained on are too good, so weights are not tuned on those: of the
# training lists, in random order, the references of 2,900 train, of 100 are held out, the rest tune.
python - "$train" "$out" <<'PYTHON'
import json
import random
import sys
from pathlib import Path

lists, out = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
random.Random(0).shuffle(lists)
for name, part in {"adapt.txt": lists[:2900], "valid.txt": lists[2900:3000]}.items():
    (out / name).write_text("".join(one["output"] + "\n" for one in part))
(out / "tune.json").write_text(json.dumps(lists[3000:]))
PYTHON

[ -d "$out/model" ] || lmscore train "$out/adapt.txt" --valid "$out/valid.txt" \
    --output "$out/model" --init-from "$here/lmscore/models/english" --self-normalize "$alpha" \
    --epochs 8 --batch-size 16 --learning-rate 0.001
lmscore info "$out/model"

# `am_score` looks like a log-probability per token: read so, it is multiplied by the words.
echo "== exact"
lmscore tune "$out/tune.json" -m "$out/model" --weigh 'am_score*words' --output "$out/exact.json"
lmscore tune "$test" -m "$out/model" --weights "$out/exact.json"
echo "== without the softmax, the same weights"
lmscore tune "$test" -m "$out/model" --unnormalized --weights "$out/exact.json"
echo "== without the softmax, weights tuned without it"
lmscore tune "$out/tune.json" -m "$out/model" --unnormalized --weigh 'am_score*words' \
    --output "$out/unnormalized.json"
lmscore tune "$test" -m "$out/model" --unnormalized --weights "$out/unnormalized.json"
echo "== agreement"
python "$here/recipes/rank_agreement.py" "$out/model" "$test"
