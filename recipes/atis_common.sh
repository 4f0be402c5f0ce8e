# What the recipes for the ATIS lists of HyPoradise share. Sourced by those that say `train`, `test`,
# `out` and `here`, the checkout; parts the training lists, as recipes/atis_split.py says.

mkdir -p "$out"
python "$here/recipes/atis_split.py" "$train" "$out"

# Trains the bundled model further on the references of the training lists, once: adapt MODEL [OPTION...]
adapt() {
    local model=$1
    shift
    [ -d "$model" ] || lmscore train "$out/adapt.txt" --valid "$out/valid.txt" --output "$model" \
        --init-from "$here/lmscore/models/english" "$@" \
        --epochs 8 --batch-size 16 --learning-rate 0.001
}

# Weights from some lists, and their worth on the test lists: rescore LISTS WEIGHTS [OPTION...]
# `am_score` looks like a log-probability per token: read so, it is multiplied by the words.
rescore() {
    local lists=$1 weights=$2
    shift 2
    rm -f "$weights" # of an earlier run
    lmscore tune "$lists" "$@" --weigh 'am_score*words' --output "$weights"
    lmscore tune "$test" "$@" --weights "$weights"
}
