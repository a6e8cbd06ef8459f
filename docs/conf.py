"""Sphinx: the pages are the repository's Markdown files where they stand, the reference is made from docstrings.

`make docs` builds them into ``build/site``. Nothing is fetched when a page is read: formulas are MathML.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx

import forecaster

ROOT = Path(__file__).resolve().parent.parent

project = "Forecaster"
author = "The forecaster's authors"
version = release = forecaster.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "docs/**.md",
    "models/README.md",
    "models/cards/*.md",
    "data/README.md",
]
# Folders that need not be walked.
exclude_patterns = [path.name for path in ROOT.iterdir() if path.name.startswith(".")] + [
    "build",
    "tests",
    "forecaster",
]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "alabaster"
html_theme_options = {"page_width": "1100px", "description": "Will a health-insurance fund last?"}
html_copy_source = False
html_math_renderer = "mathml"


def _inline(writer: Any, node: nodes.math) -> None:
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _block(writer: Any, node: nodes.math_block) -> None:
    # Several lines, aligned at the signs, are one environment to LaTeX.
    text = node.astext()
    if "\\\\" in text or "&" in text:
        text = rf"\begin{{aligned}}{text}\end{{aligned}}"
    writer.body.append(f'<div class="math">{convert(text, display="block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Register the renderer of formulas."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
