"""Literal types for the values of options and files, shared by the library and the shell."""

from __future__ import annotations

from typing import Literal

# --- models

Cell = Literal[
    "lstm",
    "gru",
    "rnn-tanh",
    "rnn-relu",
    "rnn-sigmoid",
    "lstm-coupled",
    "lstm-peephole",
    "lstm-no-input",
    "lstm-no-forget",
    "lstm-no-output",
    "lstm-mogrifier",
    "gated-delta",
    "window",
    "window-relu",
]
Connections = Literal["plain", "residual", "highway", "dense"]  # between layers
Context = Literal["sentence", "document"]
Direction = Literal["forward", "backward"]
OutputLayer = Literal["softmax", "classes"]
HeadName = Literal["softmax", "self-normalised", "classes"]
TokenizerKind = Literal["bpe", "unigram", "word", "char", "custom"]
LayoutName = Literal["sherpa-online", "sherpa-offline", "rasr", "rasr-scorer", "triton", "ort"]

# --- training

Precision = Literal["auto", "fp32", "bf16"]
Optimizer = Literal["adamw", "muon", "sgd"]
TrainingDirection = Literal["forward", "backward", "both"]
Schedule = Literal["cosine", "constant", "plateau"]
Order = Literal["random", "given"]
RecurrentInit = Literal["orthogonal", "identity"]

# --- n-gram models

Smoothing = Literal["kneser-ney", "absolute", "katz", "add-k", "mle"]

# --- text and scores

Utf8Errors = Literal["strict", "replace"]
InputFormat = Literal["text", "tsv", "csv", "jsonl", "json", "parquet", "arrow"]
OnError = Literal["stop", "skip", "keep"]
Split = Literal["lines", "sentences", "none"]
RecordFormat = Literal["tsv", "jsonl"]
ScoreFormat = Literal["tsv", "jsonl", "csv"]
Documents = Literal["files", "ids", "blank-lines"]  # where a document begins
ReportFormat = Literal["text", "json"]
Tool = Literal["kenlm", "srilm"]  # the tools whose report layouts are available
Unit = Literal["word", "token", "character", "byte"]
Measure = Literal["entropy", "rank", "alternatives"]  # of the distribution at a token
FeatureUnit = Literal["token", "word", "sentence"]
Pool = Literal["mean", "last", "max"]  # of hidden states
Segmentation = Literal["auto", "spaces", "characters"]  # what a word of a text is
NextUnit = Literal["auto", "word", "character", "token"]  # of continuations
Per = Literal["sentence", "token", "word", "part"]  # one output row for each
Punctuation = Literal["keep", "drop", "apart"]  # at the edges of a region

# --- n-best lists and lattices

MissingList = Literal["stop", "skip", "empty"]  # what a reference without a list is
ScoreKind = Literal["log-probabilities", "costs", "probabilities"]
MetricName = Literal["wer", "cer", "bleu", "chrf"]
Mix = Literal["linear"]
Case = Literal["keep", "lower", "auto"]  # of the texts that a model gets
SubwordMark = Literal["@@", "▁"]
