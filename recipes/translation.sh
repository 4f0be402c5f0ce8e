#!/usr/bin/env bash
# A toy translation: German captions of Multi30k to English by an encoder and a decoder without attention.
#
# Usage: recipes/translation.sh MULTI30K DIR [MINUTES]
#   MULTI30K  holds train, val and test_2016_flickr with the endings .de and .en, a sentence a line,
#             tokenized and in lower case (github.com/multi30k/dataset, task 1)
# Needs lmscore[cpu,train,mt].
set -euo pipefail

data=$1 out=$2 minutes=${3:-8}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "$out"
for part in train val test_2016_flickr; do
    paste "$data/$part.de" "$data/$part.en" > "$out/$part.tsv"
done
[ -e "$out/model/model_int8.onnx" ] ||
    lmscore train "$out/train.tsv" --valid "$out/val.tsv" --columns prefix --columns text \
        --prefix-field prefix --reverse-prefix --separate --tokenizer bpe --vocab-size 4000 \
        --hidden-size 256 --dropout 0.2 --batch-size 64 --minutes "$minutes" -o "$out/model"
python "$here/recipes/decode_pairs.py" "$out/model" "$out/test_2016_flickr.tsv" --metric bleu -o "$out/decoded.txt"
