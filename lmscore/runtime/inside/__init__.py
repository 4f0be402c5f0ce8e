"""What happens inside a model: hidden states, gates along a sentence, word vectors."""

from lmscore.runtime.inside.cells import STEPS
from lmscore.runtime.inside.embeddings import Embeddings
from lmscore.runtime.inside.features import FeatureOptions, features_of, word_texts
from lmscore.runtime.inside.inspection import Inspection, inspect_text

__all__ = [
    "STEPS",
    "Embeddings",
    "FeatureOptions",
    "Inspection",
    "features_of",
    "inspect_text",
    "word_texts",
]
