#!/usr/bin/env bash
# WikiText-2, best effort: a model in the manner of AWD-LSTM (Merity et al. 2017), then fine-tuned,
# then with a neural cache and with dynamic evaluation beside the static figure.
#
# Usage: recipes/wikitext2_awd.sh WIKITEXT2 WORK [EPOCHS [FINE_TUNING_EPOCHS]]
#   750 and 750 by default, as there: for a GPU. As recipes/wikitext2.sh, it may be interrupted.
#
# Their settings, in their paper and its code. What differs: all three layers have 950 units, and the
# last is projected to the embedding's 400, where theirs have 1150, 1150 and 400; 33M parameters both.
set -euo pipefail
data=$1 work=$2 epochs=${3:-750} fine=${4:-750}
here=$(cd "$(dirname "$0")" && pwd)
source "$here/rows.sh"

options=(--layers 3 --hidden-size 950 --embedding-size 400
    --input-dropout 0.65 --layer-dropout 0.2 --dropout 0.4 --word-dropout 0.1 --weight-drop 0.5
    --activation-penalty 2 --temporal-penalty 1
    --batch-size 80 --bptt 70 --random-bptt
    --optimizer sgd --learning-rate 30 --schedule constant --warmup 0 --weight-decay 1.2e-6
    --clip 0.25)

declare -A rows=(
    [awd]="--epochs $epochs --evaluations $epochs --average nt-asgd"
    [fine-tuned]="--epochs $fine --evaluations $fine --average asgd --init-from $work/awd"
)
order=(awd fine-tuned)

make_rows
for text in valid test; do
    echo "== $text"
    lmscore ppl -m "$work/fine-tuned" --variant fp32 --cache --cache-size 3785 \
        --cache-flatness 0.66 --cache-weight 0.13 --dynamic "$data/$text.txt"
done
