"""Two models, one of each direction: the probability of a word given all words around it."""

from lmscore.runtime.bidirectional.bidirectional_model import BidirectionalModel, bidirectional
from lmscore.runtime.bidirectional.conditionals import Conditionals
from lmscore.runtime.bidirectional.load import load_bidirectional

__all__ = ["BidirectionalModel", "Conditionals", "bidirectional", "load_bidirectional"]
