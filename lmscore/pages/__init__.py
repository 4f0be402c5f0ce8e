"""Pages to look at: one HTML file each, without a network, whose texts cannot become markup."""

from lmscore.pages.chart import Axis, Point, Rule, Series, chart
from lmscore.pages.elements import Child, element, markup, table
from lmscore.pages.frame import REPORT_SCRIPT, WORDS_SCRIPT, frame, part, report_page
from lmscore.pages.words import LEVELS, Word, WordTexts, level

__all__ = [
    "LEVELS",
    "REPORT_SCRIPT",
    "WORDS_SCRIPT",
    "Axis",
    "Child",
    "Point",
    "Rule",
    "Series",
    "Word",
    "WordTexts",
    "chart",
    "element",
    "frame",
    "level",
    "markup",
    "part",
    "report_page",
    "table",
]
