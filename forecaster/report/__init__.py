"""The actuarial report of a kept run: thirteen sections, in three languages, as PDF, HTML or Word.

What the program cannot know (the actuary's opinion, the review, the recommendation) is left blank and says so.
"""

from forecaster.report.blocks import Blank, Block, Bullets, Heading, Paragraph, Picture, Table
from forecaster.report.content import report_blocks
from forecaster.report.material import Material
from forecaster.report.rendering import FORMATS, render
from forecaster.report.stress import groups, sensitivities
from forecaster.report.texts import LANGUAGES, Texts

__all__ = [
    "FORMATS",
    "LANGUAGES",
    "Blank",
    "Block",
    "Bullets",
    "Heading",
    "Material",
    "Paragraph",
    "Picture",
    "Table",
    "Texts",
    "groups",
    "render",
    "report_blocks",
    "sensitivities",
]
