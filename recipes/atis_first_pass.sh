#!/usr/bin/env bash
# What an n-gram model keeps of the recurrent model that it approximates, for a recogniser's first pass:
# the ATIS lists of HyPoradise, rescored by the adapted model, by a 3-gram of sentences that it draws,
# by a 3-gram of the text that it was adapted to, and by a mixture of both.
#
# Usage: recipes/atis_first_pass.sh TRAIN.json TEST.json DIR [SENTENCES]
# Needs lmscore[cpu,train,tune] and a checkout, whose bundled model has its weights. docs/ngrams.md has the table,
# with 8192 sentences.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
train=$1 test=$2 out=$3 sentences=${4:-50000}
source "$here/recipes/atis_common.sh"
adapt "$out/adapted"

[ -f "$out/drawn.arpa" ] ||
    lmscore ngram approximate -m "$out/adapted" --sentences "$sentences" -o "$out/drawn.arpa"
lmscore ngram train "$out/adapt.txt" --order 3 --discount-fallback -o "$out/counted.arpa"
lmscore ngram mix "$out/drawn.arpa" "$out/counted.arpa" --fit "$out/valid.txt" -o "$out/both.arpa"
lmscore compare "$out/adapted" "$out/drawn.arpa" "$out/counted.arpa" "$out/both.arpa" \
    --text "$out/valid.txt"

for model in adapted drawn.arpa counted.arpa both.arpa; do
    echo "== $model"
    rescore "$out/tune.json" "$out/weights.json" --model "$out/$model"
done
