"""Pages to look at: one HTML file each, without a network, whose texts cannot become markup."""

from lmscore.pages.frame import WORDS_SCRIPT, frame, part

__all__ = ["WORDS_SCRIPT", "frame", "part"]
