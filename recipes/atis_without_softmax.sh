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
source "$here/recipes/atis_common.sh"

adapt "$out/model" --self-normalize "$alpha"
lmscore info "$out/model"

echo "== exact"
rescore "$out/tune.json" "$out/exact.json" -m "$out/model"
echo "== without the softmax, the same weights"
lmscore tune "$test" -m "$out/model" --unnormalized --weights "$out/exact.json"
echo "== without the softmax, weights tuned without it"
rescore "$out/tune.json" "$out/unnormalized.json" -m "$out/model" --unnormalized
echo "== agreement"
python "$here/recipes/rank_agreement.py" "$out/model" "$test"
