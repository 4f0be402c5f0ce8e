#!/bin/sh
# What Kaldi's n-best rescoring scripts call to get the costs of hypotheses (in the place of
# utils/rnnlm_compute_scores.sh): MODEL-DIR TEMP-DIR INPUT-TEXT OUTPUT-SCORES
exec lmscore rescore --input-format kaldi --quiet --model "$1" --output "$4" "$3"
