#!/usr/bin/env bash
# WikiText-2, best effort within minutes on a CPU: one LSTM with classes, kept from overfitting as
# AWD-LSTM is (Merity et al. 2017), then with a neural cache.
#
# Usage: recipes/wikitext2_minutes.sh WIKITEXT2 WORK [MINUTES]
#   MINUTES  100 by default, of training; the schedule follows the clock
# As recipes/wikitext2.sh, it may be interrupted, and THREADS is how many threads it takes.
set -euo pipefail
data=$1 work=$2 minutes=${3:-100}
here=$(cd "$(dirname "$0")" && pwd)
source "$here/rows.sh"

options=(--minutes "$minutes" --evaluations 10 --hidden-size 512 --output-layer classes
    --learning-rate 0.003 --average ema
    --dropout 0.4 --input-dropout 0.4 --word-dropout 0.05 --weight-drop 0.3)

declare -A rows=([lstm-512]="")
order=(lstm-512)

make_rows
# Fitted by recipes/tune_cache.py on the first 400 lines of the validation text.
cache="--cache-size 8000 --cache-flatness 0.35 --cache-weight 0.25"
for text in valid test; do
    echo "== $text"
    lmscore ppl -m "$work/lstm-512" --variant fp32 $threads --cache $cache "$data/$text.txt"
done
