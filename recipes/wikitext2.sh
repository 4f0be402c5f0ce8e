#!/usr/bin/env bash
# WikiText-2: every architecture at the same small budget.
#
# Usage: recipes/wikitext2.sh WIKITEXT2 WORK [BUDGET] [ROW...]
#   WIKITEXT2  holds train.txt, valid.txt, test.txt (standard word-level tokenisation)
#   WORK       a row that is finished there is not trained again, one that was interrupted goes on
#   BUDGET     of each row, '--epochs 3' by default; '--minutes 3', say, compares at equal time;
#              any other option of lmscore train may stand there, '--output-layer softmax' too
#   ROW        the rows to make, all by default
# THREADS, if set, is how many CPU threads training and scoring take.
# Prints the tables of the rows that are finished.
set -euo pipefail
data=$1 work=$2 budget=${3:---epochs 3}
shift $(($# < 3 ? $# : 3))
here=$(cd "$(dirname "$0")" && pwd)
source "$here/rows.sh"

# With 33,000 words a softmax would take six times as long and come to the same (docs/results.md).
options=(--evaluations 1 --hidden-size 256 --learning-rate 0.003 --output-layer classes $budget)

declare -A rows=(
    [lstm]=""
    [gru]="--cell gru"
    [rnn-tanh]="--cell rnn-tanh"
    [rnn-relu]="--cell rnn-relu"
    [rnn-relu-identity]="--cell rnn-relu --recurrent-init identity"
    [window-5]="--cell window"
    [lstm-untied]="--untied"
    [lstm-2]="--layers 2"
    [lstm-2-residual]="--layers 2 --connections residual"
    [lstm-coupled]="--cell lstm-coupled"
    [lstm-512-projected]="--hidden-size 512 --embedding-size 256"
    [rnn-sigmoid]="--cell rnn-sigmoid"
    [gru-2]="--cell gru --layers 2"
    [lstm-mogrifier]="--cell lstm-mogrifier"
    [gated-delta]="--cell gated-delta"
    [gated-delta-2]="--cell gated-delta --layers 2 --connections residual"
)
order=(lstm gru rnn-tanh rnn-relu-identity window-5 lstm-untied lstm-2 lstm-2-residual
    lstm-coupled lstm-512-projected rnn-sigmoid rnn-relu gru-2
    lstm-mogrifier gated-delta gated-delta-2)

make_rows "$@"
