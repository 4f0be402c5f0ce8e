#!/usr/bin/env bash
# English from novels and from modern, spoken text: the bundled model, trained, exported, measured.
#
# Usage: recipes/english.sh BOOKS MODERN WORK [EPOCHS [DECAY]]
#   BOOKS, MODERN  each with train.txt.xz and held-out texts, one sentence a line, cased and punctuated
#                  (BOOKS: train.asr.txt.xz, {valid,test}.small[.asr].txt; MODERN: {valid,test}[.asr].txt,
#                  where .asr is the form that a speech recogniser writes)
#   WORK           a directory for the runs; what is done in it is not done again, what was interrupted
#                  goes on
#   EPOCHS         passes over the texts at a constant learning rate, 1 by default
#   DECAY          passes in which the rate falls to 0, 0.2 by default
# Needs lmscore[cpu,train]. Beside other work on the same cores OMP_WAIT_POLICY=passive helps: threads
# then sleep, and do not spin, while they wait for each other.
set -euo pipefail
books=$1 modern=$2 work=$3 epochs=${4:-1} decay=${5:-0.2}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$work"

text() { # NAME COMMAND...: what the command prints, whole or not at all
    [ -s "$work/$1" ] || { "${@:2}" > "$work/$1.part" && mv "$work/$1.part" "$work/$1"; }
}
text books.txt xz -dc "$books/train.txt.xz"
text books.asr.txt xz -dc "$books/train.asr.txt.xz"
text modern.txt xz -dc "$modern/train.txt.xz"
text modern.asr.txt python "$here/recogniser_form.py" < "$work/modern.txt"

train() { # NAME OPTION...: a run in WORK/NAME
    local name=$1
    shift
    [ -e "$work/$name/parity.npz" ] && return
    if [ -e "$work/$name/train.json" ]; then
        lmscore train --resume --output "$work/$name" --no-export
        return
    fi
    lmscore train "$work"/{books,books.asr,modern,modern.asr}.txt \
        --valid "$books/valid.small.txt" --valid "$books/valid.small.asr.txt" \
        --valid "$modern/valid.txt" --valid "$modern/valid.asr.txt" \
        --output "$work/$name" --no-export --dropout 0 --sampled-softmax 1024 \
        --batch-size 256 --bptt 32 --clip 0.25 --checkpoint-minutes 3 "$@"
}
# A constant rate can be prolonged; the fall to 0 brings what the rate has kept back.
train constant --tokenizer bpe --vocab-size 8192 --normalization punctuation --context sentence \
    --cell lstm --hidden-size 512 --layers 1 \
    --learning-rate 0.003 --schedule constant --warmup 0.002 --epochs "$epochs" --evaluations 24
train decayed --init-from "$work/constant" \
    --learning-rate 0.003 --schedule cosine --warmup 0.01 --epochs "$decay" --evaluations 8

python "$here/bundle_model.py" "$work/decayed" "$work/english"
lmscore export "$work/english"
for variant in fp32 int8; do
    for held_out in "$modern"/test{.asr,}.txt "$books"/test.small{.asr,}.txt; do
        echo "== $variant, $held_out"
        lmscore ppl -m "$work/english" --variant "$variant" "$held_out"
    done
done
