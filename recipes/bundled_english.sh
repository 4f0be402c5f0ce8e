#!/usr/bin/env bash
# The bundled English model: train it, export it, put it into the package, measure it.
#
# Usage: recipes/bundled_english.sh BOOKS WORK [MINUTES]
#   BOOKS   holds train.txt.xz, train.asr.txt.xz, and {valid,test}.small[.asr].txt: novels with one
#           sentence a line, cased and punctuated, and the same text as a speech recogniser writes it
#   WORK    an empty directory for the run; an interrupted run in it is resumed
#   MINUTES of training, 75 by default
set -euo pipefail
books=$1 work=$2 minutes=${3:-75}
root=$(cd "$(dirname "$0")/.." && pwd)

if [ -e "$work/train.json" ]; then
    lmscore train --resume --output "$work" --no-export
else
    lmscore train "$books/train.txt.xz" "$books/train.asr.txt.xz" \
        --valid "$books/valid.small.txt" --valid "$books/valid.small.asr.txt" \
        --output "$work" --minutes "$minutes" --no-export \
        --tokenizer bpe --vocab-size 8192 --context sentence \
        --cell lstm --hidden-size 512 --layers 1 --dropout 0 \
        --batch-size 64 --bptt 32 --learning-rate 0.003 --warmup 0.01 \
        --evaluations 24 --checkpoint-minutes 3
fi

python "$root/recipes/bundle_model.py" "$work" "$root/lmscore/models/english"
lmscore export "$root/lmscore/models/english"

for variant in fp32 int8; do
    for text in test.small.asr.txt test.small.txt; do
        echo "== $variant, $text"
        lmscore ppl -m "$root/lmscore/models/english" --variant "$variant" "$books/$text"
    done
done
