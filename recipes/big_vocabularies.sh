#!/usr/bin/env bash
# Output layers for a vocabulary of 50,000 words: what each costs in perplexity, what it gains in speed.
#
# Usage: recipes/big_vocabularies.sh BOOKS WORK [HIDDEN] [EPOCHS]
#   BOOKS   holds train.asr.txt.xz and {valid,test}.small.asr.txt
#   HIDDEN  256 by default
#   EPOCHS  over the first 2M words, 0.5 by default
# Trains a softmax, the same self-normalised, and classes as they are chosen, two and one; prints one row
# of a Markdown table per model and draws WORK/balance.svg. Needs lmscore[cpu,train,plot].
set -euo pipefail
books=$1 work=$2 hidden=${3:-256} epochs=${4:-0.5}
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$work"
xz -dc "$books/train.asr.txt.xz" | head -c 10287362 > "$work/train.txt" || [ $? -eq 141 ]
head -n 2000 "$books/valid.small.asr.txt" > "$work/valid.txt"

one() {
    local name=$1
    shift
    [ -e "$work/$name/model_int8.onnx" ] || lmscore train "$work/train.txt" --valid "$work/valid.txt" \
        --output "$work/$name" --tokenizer word --vocab-size 50000 --hidden-size "$hidden" \
        --epochs "$epochs" --dropout 0 --evaluations 1 "$@"
    lmscore ppl -m "$work/$name" --format json "$books/test.small.asr.txt" > "$work/$name/ppl-test.json"
}
one softmax
one self-normalised --self-normalize 0.1
one classes --output-layer classes
one two-classes --output-layer classes --cutoffs 2000,10000
one one-class --output-layer classes --cutoffs 4000
python "$root/recipes/output_layers.py" "$books/test.small.asr.txt" \
    "$work"/{softmax,self-normalised,classes,two-classes,one-class} --figure "$work/balance.svg"
