#!/usr/bin/env bash
# English from novels and from modern, spoken text: three models, trained, exported, measured.
#
# Usage: recipes/english.sh BOOKS MODERN WORK [MODEL [EPOCHS [DECAY]]]
#   BOOKS, MODERN  each with train.txt.xz and held-out texts, one sentence a line, cased and punctuated
#                  (BOOKS: train.asr.txt.xz, {valid,test}.small[.asr].txt; MODERN: {valid,test}[.asr].txt,
#                  where .asr is the form that a speech recogniser writes)
#   WORK           a directory for the runs; what is done in it is not done again, what was interrupted
#                  goes on
#   MODEL          english        the bundled model, int8 6.4 MB; by default
#                  english-small  for keyboards and browsers, int8 1.6 MB
#                  english-large  as good as one LSTM gets, int8 26 MB; meant for a GPU
#   EPOCHS         passes over the texts, 1 by default; of `english` at a constant learning rate
#   DECAY          of `english`: passes in which the rate falls to 0, 0.2 by default
# The environment: EVERY=45 reads one line in 45, to try the recipe out in a WORK of its own.
# Needs lmscore[cpu,train]. Beside other work on the same cores OMP_WAIT_POLICY=passive helps: threads
# then sleep, and do not spin, while they wait for each other.
set -euo pipefail
books=$1 modern=$2 work=$3 model=${4:-english} epochs=${5:-1} decay=${6:-0.2}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$work"

text() { # NAME COMMAND...: what the command prints, whole or not at all
    [ -s "$work/$1" ] || { "${@:2}" > "$work/$1.part" && mv "$work/$1.part" "$work/$1"; }
}
lines() { # FILE.xz: its lines, or one in EVERY
    xz -dc "$1" | awk -v n="${EVERY:-1}" 'NR % n == 8 % n'
}
recogniser_form() { # FILE
    xz -dc "$1" | python "$here/recogniser_form.py" | awk -v n="${EVERY:-1}" 'NR % n == 8 % n'
}
text books.txt lines "$books/train.txt.xz"
text books.asr.txt lines "$books/train.asr.txt.xz"
text modern.txt lines "$modern/train.txt.xz"
text modern.asr.txt recogniser_form "$modern/train.txt.xz"

share= # of the novels' lines that an epoch has, as ":0.5"; all of them by default
train() { # NAME OPTION...: a run in WORK/NAME
    local name=$1
    shift
    [ -e "$work/$name/parity.npz" ] && return
    if [ -e "$work/$name/train.json" ]; then
        lmscore train --resume --output "$work/$name" --no-export
        return
    fi
    lmscore train "$work"/{books,books.asr}.txt"$share" "$work"/{modern,modern.asr}.txt \
        --valid "$books/valid.small.txt" --valid "$books/valid.small.asr.txt" \
        --valid "$modern/valid.txt" --valid "$modern/valid.asr.txt" \
        --output "$work/$name" --no-export --dropout 0 \
        --bptt 32 --clip 0.25 --checkpoint-minutes 3 "$@"
}
measure() { # NAME: exports WORK/NAME, and prints its perplexities
    lmscore export "$work/$1"
    for variant in fp32 int8; do
        for held_out in "$modern"/test{.asr,}.txt "$books"/test.small{.asr,}.txt; do
            echo "== $variant, $held_out"
            lmscore ppl -m "$work/$1" --variant "$variant" "$held_out"
        done
    done
}
of_english() { # the tokenizer of the bundled model, so that models can teach each other
    echo "--tokenizer $here/../lmscore/models/english/tokenizer.json --context sentence"
}

case $model in
english)
    # A constant rate can be prolonged; the fall to 0 brings what the rate has kept back. The fall is trained
    # by the whole softmax, at half the speed: the sampled one errs by 1 % of the perplexity.
    train constant --tokenizer bpe --vocab-size 8192 --normalization punctuation --context sentence \
        --cell lstm --hidden-size 512 --layers 1 --batch-size 256 --sampled-softmax 1024 \
        --learning-rate 0.003 --schedule constant --warmup 0.002 --epochs "$epochs" --evaluations 24
    train decayed --init-from "$work/constant" --batch-size 256 \
        --learning-rate 0.003 --schedule cosine --warmup 0.01 --epochs "$decay" --evaluations 8
    # Two short ones at a low rate, with more modern English, by which their weights are chosen. The mean
    # with the weights that they began with is better than any of the three.
    share=:0.5 seed=0
    for optimizer in adamw muon; do
        train "last-$optimizer" --init-from "$work/decayed" --batch-size 256 --optimizer "$optimizer" --seed $((++seed)) \
            --learning-rate 0.0008 --schedule cosine --warmup 0.03 --epochs 0.1 --evaluations 5 \
            --choose-by valid.asr.txt
    done
    python "$here/bundle_model.py" "$work"/{last-adamw,last-muon,decayed} "$work/english"
    ;;
english-small)
    train small-sampled $(of_english) --cell lstm-coupled --hidden-size 416 --embedding-size 96 \
        --sampled-softmax 1024 --batch-size 256 --learning-rate 0.005 --epochs "$epochs" --evaluations 6
    train small-decayed --init-from "$work/small-sampled" --batch-size 256 \
        --learning-rate 0.001 --schedule cosine --warmup 0.02 --epochs 0.03 --evaluations 2
    python "$here/bundle_model.py" "$work/small-decayed" "$work/english-small"
    ;;
english-large)
    train english-large $(of_english) --cell lstm --hidden-size 1024 --layers 2 --connections residual \
        --sampled-softmax 1024 --batch-size 256 --optimizer muon --learning-rate 0.003 --epochs "$epochs" --evaluations 24
    ;;
*)
    echo "no model $model: english, english-small or english-large" >&2
    exit 2
    ;;
esac
measure "$model"

# How well the small model serves a keyboard, beside an n-gram model of the same size and text.
if [ "$model" = english-small ]; then
    text dialogue.txt python "$here/dialogue.py" < "$modern/test.asr.txt"
    text words.txt awk '{ for (i = 1; i <= NF; i++) n[$i]++ }
        END { for (w in n) print n[w] "\t" w | "LC_ALL=C sort -k1,1nr -k2 | head -16000 | cut -f2" }' \
        "$work"/{books,books.asr,modern,modern.asr}.txt
    [ -e "$work/3-gram.arpa" ] || lmscore ngram train "$work"/{books,books.asr,modern,modern.asr}.txt \
        --order 3 --vocabulary "$work/words.txt" -o "$work/3-gram.arpa"
    limit=$(stat -c %s "$work/english-small/model_int8.onnx")
    for threshold in 1e-7 2e-7 4e-7 6e-7 8e-7 1e-6 1.2e-6 1.5e-6 2e-6 2.3e-6 3e-6 5e-6; do
        small=$work/3-gram-pruned.arpa.xz
        [ -e "$small" ] && break
        lmscore ngram prune "$work/3-gram.arpa" --threshold $threshold -o "$work/tried.arpa.xz"
        [ "$(stat -c %s "$work/tried.arpa.xz")" -gt "$limit" ] || mv "$work/tried.arpa.xz" "$small"
    done
    python "$here/keyboard.py" "$work/dialogue.txt" "${LINES_TYPED:-200}" \
        "$work/english-small" "$small"
fi
