#!/usr/bin/env bash
# What each technique of training is worth, on a small part of the text of the English model.
#
# Usage: recipes/techniques.sh MODERN WORK [ROW...]
#   MODERN  holds valid.asr.txt
#   WORK    the directory of recipes/english.sh, whose four texts are there; the rows go to WORK/techniques
# Trains an LSTM of 256 units once through every 135th line (1.33M tokens of the bundled tokenizer) with
# one thread. Prints the held-out perplexity per token (every fourth line of valid.asr.txt) and the
# minutes of processor time, which other work on the machine changes less than the clock's.
set -euo pipefail
modern=$1 work=$2
shift 2
here=$(cd "$(dirname "$0")/.." && pwd)
out=$work/techniques
english=$here/lmscore/models/english
mkdir -p "$out"
awk 'FNR % 45 == 8' "$work"/{books,books.asr,modern,modern.asr}.txt | awk 'NR % 3 == 1' > "$out/train.txt"
awk 'NR % 4 == 0' "$modern/valid.asr.txt" > "$out/valid.txt"

declare -A rows=(
    [adamw]=""
    [muon]="--optimizer muon"
    [teacher]="--teacher $english"
    [mogrifier]="--cell lstm-mogrifier"
    [gated-delta]="--cell gated-delta"
)
order=(adamw muon teacher mogrifier gated-delta)

TIMEFORMAT=%U
for name in "${@:-${order[@]}}"; do
    [ -e "$out/$name/parity.npz" ] && continue
    { time lmscore train "$out/train.txt" --valid "$out/valid.txt" --output "$out/$name" --no-export \
        --tokenizer "$english/tokenizer.json" --hidden-size 256 --dropout 0 --sampled-softmax 1024 \
        --batch-size 64 --bptt 32 --clip 0.25 --learning-rate 0.004 --evaluations 2 --epochs 1 \
        --threads 1 ${rows[$name]} 2> "$out/$name.log"; } 2> "$out/$name.seconds"
    awk -v name="$name" '{ printf "%s: %.2f minutes of processor time\n", name, $1 / 60 }' "$out/$name.seconds"
done
