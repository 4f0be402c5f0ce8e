#!/usr/bin/env bash
# From a list to a WER: the ATIS lists of HyPoradise (5-best, acoustic scores, references), weights from
# the training lists, reported on the test lists; with the bundled model, with one adapted to the
# references of some training lists, and with a backward model beside it.
#
# Usage: recipes/atis.sh TRAIN.json TEST.json DIR
# Needs lmscore[cpu,train,tune] and a checkout, whose bundled model has its weights. Takes five minutes.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
train=$1 test=$2 out=$3
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

# `am_score` looks like a log-probability per token: read so, it is multiplied by the words.
rescore() {
    local lists=$1 weights=$2
    shift 2
    lmscore tune "$lists" "$@" --weigh 'am_score*words' --output "$weights"
    lmscore tune "$test" "$@" --weights "$weights"
}

echo "== no model: a word penalty alone"
rescore "$train" "$out/penalty.json" --no-model

echo "== the bundled model, weights from all training lists"
rescore "$train" "$out/bundled.json"

echo "== adapted to the domain"
[ -d "$out/adapted" ] || lmscore train "$out/adapt.txt" --valid "$out/valid.txt" \
    --output "$out/adapted" --init-from "$here/lmscore/models/english" \
    --epochs 8 --batch-size 16 --learning-rate 0.001
rescore "$out/tune.json" "$out/adapted.json" --model "$out/adapted"

echo "== and a backward model of the domain alone beside it"
[ -d "$out/backward" ] || lmscore train "$out/adapt.txt" --valid "$out/valid.txt" \
    --output "$out/backward" --direction backward --tokenizer word --min-count 2 \
    --hidden-size 256 --dropout 0.4 --epochs 15 --batch-size 16
rescore "$out/tune.json" "$out/both.json" --lm "ahead=$out/adapted" --lm "back=$out/backward"
