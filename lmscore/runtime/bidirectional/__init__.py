"""Two models, one of each direction: the probability of a word given all words around it."""

from lmscore.runtime.bidirectional.bidirectional_model import BidirectionalModel, bidirectional
from lmscore.runtime.bidirectional.conditionals import Conditionals

__all__ = ["BidirectionalModel", "Conditionals", "bidirectional"]
