#!/bin/sh
# What Kaldi's n-best rescoring scripts call to get the costs of hypotheses (in the place of
# utils/rnnlm_compute_scores.sh): [OPTIONS] MODEL-DIR TEMP-DIR INPUT-TEXT OUTPUT-SCORES
#
# Options before the four arguments, and those in $LMSCORE_OPTIONS, go to `lmscore rescore`:
# --lowercase, --remove '<unk>', --words words.txt and the like.
if [ $# -lt 4 ]; then
  echo "usage: $0 [OPTIONS] MODEL-DIR TEMP-DIR INPUT-TEXT OUTPUT-SCORES" >&2
  exit 2
fi
options=$(($# - 4))
while [ "$options" -gt 0 ]; do # behind the four
  set -- "$@" "$1"
  shift
  options=$((options - 1))
done
model=$1 input=$3 output=$4
shift 4
rm -f -- "$output" # Kaldi's steps write over what an earlier run left, lmscore does not
# shellcheck disable=SC2086 # several words
exec lmscore rescore --input-format kaldi --quiet --model "$model" --output "$output" \
  $LMSCORE_OPTIONS "$@" "$input"
