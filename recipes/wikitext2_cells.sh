#!/usr/bin/env bash
# WikiText-2: LSTM, GRU and Elman networks, tied and untied, at the same small budget.
#
# Usage: recipes/wikitext2_cells.sh WIKITEXT2 WORK [MINUTES]
#   WIKITEXT2  holds train.txt, valid.txt, test.txt (standard word-level tokenisation)
# Prints one row of a Markdown table per model.
set -euo pipefail
data=$1 work=$2 minutes=${3:-3}
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$work"
for model in lstm:tied lstm:untied gru:tied rnn-tanh:tied rnn-relu:tied; do
    cell=${model%:*} tied=${model#*:}
    lmscore train "$data/train.txt" --valid "$data/valid.txt" --output "$work/$cell-$tied" \
        --minutes "$minutes" --tokenizer word --vocab-size 40000 --context document \
        --cell "$cell" "--$tied" --hidden-size 256 --learning-rate 0.003
    for text in valid test; do
        lmscore ppl -m "$work/$cell-$tied" --variant fp32 --format json "$data/$text.txt" \
            > "$work/$cell-$tied/ppl-$text.json"
    done
done
python "$root/recipes/table.py" "$work"/*-*tied
