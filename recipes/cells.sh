#!/usr/bin/env bash
# Cells, gates and connections between layers side by side: held-out perplexity of the tales in
# examples/data (32,000 words to train on), and the training's tokens a second.
#
# Usage: recipes/cells.sh DIR [SEED...]
# Trains 19 networks of 128 units for each seed (1), ten passes each, with one thread.
set -euo pipefail

out=$1
shift
data=$(cd "$(dirname "${BASH_SOURCE[0]}")/../examples/data" && pwd)
mkdir -p "$out"
for part in corpus held-out; do # as docs/concepts.md: a token is a word
    tr 'A-Z' 'a-z' < "$data/$part.txt" | tr -cs "a-z'\n" ' ' | sed 's/^ *//; s/ *$//' > "$out/$part.txt"
done

rows=(lstm lstm-peephole lstm-coupled lstm-no-input lstm-no-forget lstm-no-output
    lstm-mogrifier gated-delta gru rnn-tanh rnn-sigmoid rnn-relu window window-relu)
declare -A options=(
    [lstm-learned-state]="--cell lstm --learn-initial-state"
    [lstm-3-plain]="--cell lstm --layers 3"
    [lstm-3-residual]="--cell lstm --layers 3 --connections residual"
    [lstm-3-highway]="--cell lstm --layers 3 --connections highway"
    [lstm-3-dense]="--cell lstm --layers 3 --connections dense"
)
rows+=(lstm-learned-state lstm-3-plain lstm-3-residual lstm-3-highway lstm-3-dense)

for seed in "${@:-1}"; do
    models=()
    for row in "${rows[@]}"; do
        models+=("$out/$seed/$row")
        [ -e "$out/$seed/$row/model_int8.onnx" ] && continue
        lmscore train "$out/corpus.txt" --valid "$out/held-out.txt" --tokenizer word --min-count 2 \
            --hidden-size 128 --dropout 0.4 --epochs 10 --batch-size 16 --threads 1 --seed "$seed" \
            ${options[$row]:---cell $row} -o "$out/$seed/$row" 2> "$out/$seed-$row.log"
    done
    for model in "${models[@]}"; do # the last record of a run has all of its tokens and seconds
        tail -n 1 "$model/metrics.jsonl" | python -c '
import json, sys
run = json.load(sys.stdin)
print(sys.argv[1], format(run["tokens"] / run["seconds"], ",.0f"), "tokens a second in training")' "$(basename "$model")"
    done
    lmscore compare "${models[@]}" --text "$out/held-out.txt"
done
