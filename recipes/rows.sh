# The rows of a table, each a model: trained, exported, measured. Sourced by the recipes that say
# `data` and `work`, `options` of all rows, `rows` (name to options of its own) and their `order`.

threads=${THREADS:+--threads $THREADS}

# Trains a row within its own directory, or goes on with it, and measures it; once.
make_row() {
    local name=$1 model=$work/$1
    [ -e "$model/ppl-test.json" ] && return
    local tokenizer="--tokenizer word --vocab-size 40000"
    [[ ${rows[$name]} == *--init-from* ]] && tokenizer="" # the model brings its own
    if [ -e "$model/train.json" ]; then
        lmscore train --resume --output "$model" $threads
    else
        lmscore train "$data/train.txt" --valid "$data/valid.txt" --output "$model" \
            $tokenizer --context document "${options[@]}" ${rows[$name]} $threads
    fi
    for text in valid test; do
        lmscore ppl -m "$model" --variant fp32 --format json $threads "$data/$text.txt" \
            > "$model/ppl-$text.tmp"
        mv "$model/ppl-$text.tmp" "$model/ppl-$text.json"
    done
}

# The rows that are named, or all; then the tables of those that are finished.
make_rows() {
    mkdir -p "$work"
    for name in "${@:-${order[@]}}"; do
        make_row "$name"
    done
    local finished=()
    for name in "${order[@]}"; do
        [ -e "$work/$name/ppl-test.json" ] && finished+=("$work/$name")
    done
    python "$here/table.py" "${finished[@]}"
}
