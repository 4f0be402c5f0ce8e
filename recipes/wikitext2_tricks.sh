#!/usr/bin/env bash
# WikiText-2: what each trick is worth, taken away one at a time.
#
# Usage: recipes/wikitext2_tricks.sh WIKITEXT2 WORK [BUDGET] [ROW...]
#   as recipes/wikitext2.sh; '--epochs 5' by default, for what keeps a model from overfitting only
#   helps one that has read its text more than once.
set -euo pipefail
data=$1 work=$2 budget=${3:---epochs 5}
shift $(($# < 3 ? $# : 3))
here=$(cd "$(dirname "$0")" && pwd)
source "$here/rows.sh"

options=(--evaluations 5 --hidden-size 256 --learning-rate 0.003 --output-layer classes
    --dropout 0.3 --weight-drop 0.2 --average ema $budget)

declare -A rows=(
    [all]=""
    [untied]="--untied"
    [no-dropout]="--dropout 0"
    [no-weight-drop]="--weight-drop 0"
    [no-average]="--average none"
    [not-carried]="--context sentence" # trained and measured line by line
)
order=(all untied no-dropout no-weight-drop no-average not-carried)

make_rows "$@"
