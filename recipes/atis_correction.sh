#!/usr/bin/env bash
# The correction of a recogniser's output: a model of pairs, hypothesis and reference, learnt from the
# ATIS lists of HyPoradise; decoded from the first hypothesis, and as a feature of every hypothesis.
#
# Usage: recipes/atis_correction.sh TRAIN.json TEST.json DIR [MINUTES]
# Needs lmscore[cpu,train,tune].
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
train=$1 test=$2 out=$3 minutes=${4:-8}
source "$here/recipes/atis_common.sh"

[ -e "$out/corrector/model_int8.onnx" ] ||
    lmscore train "$out/adapt.tsv" --valid "$out/valid.tsv" --columns prefix --columns text \
        --prefix-field prefix --reverse-prefix --tokenizer word --hidden-size 256 --dropout 0.3 \
        --batch-size 32 --minutes "$minutes" -o "$out/corrector"

echo "== decoded from the first hypothesis"
python -c '
import json, sys
for one in json.load(open(sys.argv[1])):
    print(one["input"][0], one["output"], sep="\t")' "$test" > "$out/first.tsv"
python "$here/recipes/decode_pairs.py" "$out/corrector" "$out/first.tsv" --metric wer

echo "== ln P(hypothesis | first hypothesis) as a feature"
lmscore rescore "$out/tune.json" -m "$out/corrector" --first-as-prefix --feature correction -o "$out/tune-corrected.json"
lmscore rescore "$test" -m "$out/corrector" --first-as-prefix --feature correction -o "$out/test-corrected.json"
weigh=(--weigh correction --weigh 'am_score*words')
lmscore tune "$out/tune-corrected.json" "${weigh[@]}" --output "$out/correction.json"
lmscore tune "$out/test-corrected.json" --weights "$out/correction.json"
