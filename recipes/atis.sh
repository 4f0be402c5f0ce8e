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
source "$here/recipes/atis_common.sh"

echo "== no model: a word penalty alone"
rescore "$train" "$out/penalty.json" --no-model

echo "== the bundled model, weights from all training lists"
rescore "$train" "$out/bundled.json"

echo "== adapted to the domain"
adapt "$out/adapted"
rescore "$out/tune.json" "$out/adapted.json" --model "$out/adapted"

echo "== and a backward model of the domain alone beside it"
[ -d "$out/backward" ] || lmscore train "$out/adapt.txt" --valid "$out/valid.txt" \
    --output "$out/backward" --direction backward --tokenizer word --min-count 2 \
    --hidden-size 256 --dropout 0.4 --epochs 15 --batch-size 16
rescore "$out/tune.json" "$out/both.json" --lm "ahead=$out/adapted" --lm "back=$out/backward"
