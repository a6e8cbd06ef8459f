"""A report's blocks as PDF (through typst), HTML, or Word; offline, the same bytes for the same report (but Word's)."""

from __future__ import annotations

import html
import io
import json
import shutil
import tempfile
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecaster.errors import ForecasterError
from forecaster.pictures import png, svg
from forecaster.report.blocks import Blank, Block, Bullets, Heading, Paragraph, Picture, Table

if TYPE_CHECKING:
    from docx.document import Document

FORMATS = ("pdf", "html", "docx")
# Fonts of the PDF in order of preference; the last ones come with typst.
_FONTS = {
    "en": ("Noto Sans", "DejaVu Sans", "Libertinus Serif"),
    "zh-Hant": ("Noto Sans CJK TC", "Noto Sans TC", "Source Han Sans TC", "PingFang TC"),
    "zh-Hans": ("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "PingFang SC"),
}
_REGION = {"en": "GB", "zh-Hant": "TW", "zh-Hans": "CN"}


def render(blocks: Sequence[Block], title: str, language: str, form: str, footer: str = "") -> bytes:
    """The report as a file.

    Parameters
    ----------
    form
        One of :data:`FORMATS`.
    footer
        Stands at the foot of every page.

    Raises
    ------
    ForecasterError
        When the form is unknown, or no font for the language is installed.
    """
    if form not in FORMATS:
        raise ForecasterError(f"--format {form}: there are {', '.join(FORMATS)}")
    makers = {"pdf": _pdf, "html": _html, "docx": _docx}
    return makers[form](blocks, title, language, footer)


# --- PDF --------------------------------------------------------------------------------------------------------------
def _pdf(blocks: Sequence[Block], title: str, language: str, footer: str) -> bytes:
    import typst

    with tempfile.TemporaryDirectory(prefix="forecaster-") as made:
        root = Path(made)
        shutil.copyfile(Path(__file__).parent / "template.typ", root / "report.typ")
        described = []
        for i, block in enumerate(blocks):
            found = _described(block)
            if isinstance(block, Picture):
                found["file"] = f"picture{i}.png"
                (root / found["file"]).write_bytes(png(block.spec))
            described.append(found)
        data = {
            "title": title,
            "lang": language[:2],
            "region": _REGION[language],
            "fonts": _installed(typst.Fonts().families(), language),
            "footer": footer,
            "blocks": described,
        }
        (root / "data.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
        try:
            made_pdf = typst.compile(str(root / "report.typ"), root=str(root), format="pdf", pdf_standards=["ua-1"])
        except typst.TypstError as error:
            raise ForecasterError(f"the PDF could not be set: {error}") from None
    return bytes(made_pdf)


def _described(block: Block) -> dict[str, Any]:
    """A block as the template reads it."""
    kind = type(block).__name__.lower()
    if isinstance(block, Picture):
        return {"kind": kind, "caption": block.caption, "alternative": block.alternative}
    found = {"kind": kind, **block.__dict__}
    if isinstance(block, Table):
        found["weights"] = _weights(block)
    return found


def _weights(table: Table) -> list[float]:
    """Widths of the columns of a table of words, by the root of what stands in them."""
    columns = zip(table.header, *table.rows, strict=True)
    return [max(2.0, sum(map(_width, column)) ** 0.5 / max(1, len(table.rows)) ** 0.5) for column in columns]


def _width(text: str) -> int:
    """Letters of a text, Chinese ones counted as the two that they are wide."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _installed(families: Sequence[str], language: str) -> list[str]:
    found = [name for name in _FONTS[language] if name in families]
    if not found:
        wanted = " or ".join(_FONTS[language][:2])
        raise ForecasterError(
            f"no font for {language} is installed; install {wanted} (Debian: fonts-noto-cjk), or choose --format html"
        )
    # Words quoted in another script need a font too.
    others = [name for names in _FONTS.values() for name in names if name in families and name not in found]
    return [*found, *others]


# --- HTML -------------------------------------------------------------------------------------------------------------
_STYLE = """
body { font-family: 'Noto Sans', 'Noto Sans CJK TC', 'Noto Sans CJK SC', sans-serif; max-width: 52em; margin: 2em auto;
       padding: 0 1em; color: #1f2430; line-height: 1.5 }
h1 { font-size: 1.7em } h2 { font-size: 1.25em; margin-top: 2em } h3 { font-size: 1.05em }
table { border-collapse: collapse; font-size: .85em; margin: 1em 0 } caption { text-align: left; font-weight: bold }
th, td { padding: .25em .6em; border-bottom: 1px solid #d5d9e2; text-align: right; vertical-align: top }
th:first-child, td:first-child, .words th, .words td { text-align: left }
.warning { border: 2px solid #b00020; color: #b00020; padding: .6em; font-weight: bold }
.note { color: #555; font-size: .85em }
.blank { border-bottom: 1px solid #777; min-height: 3em } figure { margin: 1em 0 } svg { max-width: 100%; height: auto }
"""


def _html(blocks: Sequence[Block], title: str, language: str, footer: str) -> bytes:
    body = "\n".join(_html_block(block) for block in blocks)
    text = (
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{html.escape(title)}</h1>\n{body}\n"
        f'<footer class="note">{html.escape(footer)}</footer></body></html>\n'
    )
    return text.encode()


def _html_block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level + 1}>{html.escape(block.text)}</h{block.level + 1}>"
    if isinstance(block, Paragraph):
        mark = "" if block.style == "normal" else f' class="{block.style}"'
        return f"<p{mark}>{html.escape(block.text)}</p>"
    if isinstance(block, Bullets):
        return "<ul>" + "".join(f"<li>{html.escape(item)}</li>" for item in block.items) + "</ul>"
    if isinstance(block, Table):
        head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in block.header)
        rows = "".join(f"<tr>{''.join(f'<td>{html.escape(c)}</td>' for c in row)}</tr>" for row in block.rows)
        mark = ' class="words"' if block.words else ""
        return f"<table{mark}><caption>{html.escape(block.caption)}</caption><tr>{head}</tr>{rows}</table>"
    if isinstance(block, Picture):
        picture = svg(block.spec).decode()
        told = html.escape(block.alternative)
        return f'<figure role="img" aria-label="{told}">{picture}<figcaption>{told}</figcaption></figure>'
    return "".join(f'<p>{html.escape(item)}</p><div class="blank"></div>' for item in block.items)


# --- Word -------------------------------------------------------------------------------------------------------------
def _docx(blocks: Sequence[Block], title: str, language: str, footer: str) -> bytes:
    import docx
    from docx.oxml.ns import qn
    from docx.shared import Mm, Pt

    document = docx.Document()
    page = document.sections[0]
    page.page_width, page.page_height = Mm(210), Mm(297)
    page.left_margin = page.right_margin = Mm(20)
    page.top_margin = page.bottom_margin = Mm(22)
    style = document.styles["Normal"]
    style.font.name, style.font.size = "Calibri", Pt(10)
    style.element.rPr.rFonts.set(qn("w:eastAsia"), _FONTS[language][0])
    document.core_properties.title = title
    document.core_properties.author = ""
    document.core_properties.language = language
    document.sections[0].footer.paragraphs[0].text = footer
    document.add_heading(title, 0)
    for block in blocks:
        _docx_block(document, block)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def _docx_block(document: Document, block: Block) -> None:
    from docx.shared import Cm, RGBColor

    if isinstance(block, Heading):
        document.add_heading(block.text, block.level)
    elif isinstance(block, Paragraph):
        run = document.add_paragraph().add_run(block.text)
        if block.style == "warning":
            run.bold, run.font.color.rgb = True, RGBColor(0xB0, 0x00, 0x20)
        run.italic = block.style == "note"
    elif isinstance(block, Bullets):
        for item in block.items:
            document.add_paragraph(item, style="List Bullet")
    elif isinstance(block, Table):
        if block.caption:
            caption = document.add_paragraph()
            caption.add_run(block.caption).bold = True
            caption.paragraph_format.keep_with_next = True
        _docx_table(document, block)
        document.add_paragraph()
    elif isinstance(block, Picture):
        document.add_picture(io.BytesIO(png(block.spec)), width=Cm(15))
        document.add_paragraph(block.alternative).runs[0].italic = True
    elif isinstance(block, Blank):
        for item in block.items:
            document.add_paragraph(item)
            document.add_paragraph("_" * 70)


def _docx_table(document: Document, block: Table) -> None:
    """Columns as wide as what stands in them, the header on every page, no row parted, figures to the right."""
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.oxml import OxmlElement
    from docx.shared import Mm, Pt

    weights = _weights(block)
    widths = [Mm(170.0 * weight / sum(weights)) for weight in weights]
    table = document.add_table(rows=0, cols=len(block.header), style="Light Grid Accent 1")
    table.autofit = False
    for column, width in zip(table.columns, widths, strict=True):
        column.width = width
    for i, texts in enumerate((block.header, *block.rows)):
        row = table.add_row()
        marks = row._tr.get_or_add_trPr()
        marks.append(OxmlElement("w:cantSplit"))
        if i == 0:
            marks.append(OxmlElement("w:tblHeader"))
        for k, (cell, text, width) in enumerate(zip(row.cells, texts, widths, strict=True)):
            cell.width = width
            paragraph = cell.paragraphs[0]
            paragraph.add_run(text).font.size = Pt(8)
            if k and not block.words:
                paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
