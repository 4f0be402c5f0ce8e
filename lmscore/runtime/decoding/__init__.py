"""Sampling, beam search and next-word prediction with a model's engine."""

from lmscore.runtime.decoding.beam import BeamOptions, BeamSearch
from lmscore.runtime.decoding.constraint import check_pattern, make_constraint
from lmscore.runtime.decoding.draft import Draft, choose_tokens
from lmscore.runtime.decoding.next_words import find_next_after, find_next_words, unit_of
from lmscore.runtime.decoding.result import Sample
from lmscore.runtime.decoding.sample import Sampler
from lmscore.runtime.decoding.sampling import SamplingKeywords, SamplingOptions
from lmscore.runtime.decoding.text import Prompt, after_line_end, lines_of
from lmscore.runtime.decoding.units import NextKeywords, NextOptions

__all__ = [
    "BeamOptions",
    "BeamSearch",
    "Draft",
    "NextKeywords",
    "NextOptions",
    "Prompt",
    "Sample",
    "Sampler",
    "SamplingKeywords",
    "SamplingOptions",
    "after_line_end",
    "check_pattern",
    "choose_tokens",
    "find_next_after",
    "find_next_words",
    "lines_of",
    "make_constraint",
    "unit_of",
]
