"""The site of these pages: sphinx-build -W -c docs . build/site; the man page: -b man.

The sources are the Markdown files as they lie in the repository, so that their links are the same
there and here. The options of the command are written into docs/verbs.md first.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import lmscore  # noqa: E402
from lmscore.cli.manual import manual  # noqa: E402

project = "lmscore"
author = "The lmscore maintainers"
copyright = author  # noqa: A001  # Sphinx's name
version = release = lmscore.__version__

extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/*.md",
    "examples/*/README.md",
    "lmscore/models/*/README.md",
]
exclude_patterns = ["**/node_modules/**"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # cards begin with a heading of their own

html_theme = "furo"
html_title = f"lmscore {version}"

man_pages = [
    ("docs/verbs", "lmscore", "recurrent language models, from text to probabilities", author, 1)
]
linkcheck_ignore = [r"http://127\.0\.0\.1.*", r"http://localhost.*"]

(ROOT / "docs" / "verbs.md").write_text(manual(), encoding="utf-8")
