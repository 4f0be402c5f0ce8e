"""Back-off n-gram models: counted, smoothed, pruned, mixed, read, written, and looked up."""

from lmscore.runtime.ngram.arpa_reading import UNKNOWN_LOG_PROB, read_arpa
from lmscore.runtime.ngram.arpa_writing import arpa_text, write_arpa
from lmscore.runtime.ngram.counts import MAX_ORDER, NgramCounts, count_ngrams
from lmscore.runtime.ngram.fst_writing import bigram_fst, token_ids
from lmscore.runtime.ngram.mixing import check_shares, interpolated, word_log_probs
from lmscore.runtime.ngram.model import BOS, CONTROL, EOS, LN10, UNK, NgramModel, Table
from lmscore.runtime.ngram.pruning import entropy_losses, pruned_by_entropy
from lmscore.runtime.ngram.smoothing import SMOOTHINGS, check_smoothing, estimate

__all__ = [
    "BOS",
    "CONTROL",
    "EOS",
    "LN10",
    "MAX_ORDER",
    "SMOOTHINGS",
    "UNK",
    "UNKNOWN_LOG_PROB",
    "NgramCounts",
    "NgramModel",
    "Table",
    "arpa_text",
    "bigram_fst",
    "check_shares",
    "check_smoothing",
    "count_ngrams",
    "entropy_losses",
    "estimate",
    "interpolated",
    "pruned_by_entropy",
    "read_arpa",
    "token_ids",
    "word_log_probs",
    "write_arpa",
]
