#!/usr/bin/env bash
# The 2M-word task: how good is a model after eight minutes on the machine at hand?
#
# Usage: recipes/two_million_words.sh BOOKS WORK [MINUTES [OPTION...]]
#   BOOKS   holds train.asr.txt.xz and {valid,test}.small.asr.txt
#   OPTION  of lmscore train, '--output-layer classes' for example
# Trains on the first 10,287,362 bytes (2M words) with the 9,998 most frequent words; the rest is one
# unknown word, and counts. Everything that matters is the trainer's default but the hidden size.
# Prints the curve of perplexity against minutes, then the figures of the whole texts.
set -euo pipefail
books=$1 work=$2 minutes=${3:-8}
shift $(($# < 3 ? $# : 3))
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$work"
xz -dc "$books/train.asr.txt.xz" | head -c 10287362 > "$work/train.txt" || [ $? -eq 141 ]
lmscore train "$work/train.txt" --valid "$books/valid.small.asr.txt" --output "$work/model" \
    --minutes "$minutes" --tokenizer word --vocab-size 10000 --context document \
    --hidden-size 400 --evaluations 7 "$@"
python "$here/curve.py" "$work/model"
for variant in fp32 int8; do
    for text in valid test; do
        echo "== $variant, $text"
        lmscore ppl -m "$work/model" --variant "$variant" "$books/$text.small.asr.txt"
    done
done
