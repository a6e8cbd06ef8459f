"""A sheet of xlsxwriter whose rows below the header are given by column and written at once.

The library keeps an object for each cell and looks at each several times, which takes most of the time of a large
table. Here the same elements are written straight from the columns: shared strings, formats and dimensions stay the
library's.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

Cell = tuple[str | float, Format | None]


class TableSheet(Worksheet):
    """A header written cell by cell as in any sheet, and below it columns, all of one length."""

    def __init__(self) -> None:
        super().__init__()
        self.columns: list[tuple[Sequence[Cell], dict[str, int]]] = []

    def add_column(self, cells: Sequence[Cell]) -> None:
        """The next column below the header: a text or a number each, with its format; NaN stays empty."""
        if cells:
            self._check_dimensions(len(cells), len(self.columns))
        # The library numbers its shared strings before it writes any sheet.
        texts = Counter(value for value, _ in cells if isinstance(value, str))
        self.columns.append((cells, {text: self._shared(text, times) for text, times in texts.items()}))

    def _shared(self, text: str, times: int) -> int:
        index = int(self.str_table._get_shared_string_index(text))
        self.str_table.count += times - 1
        return index

    def _write_rows(self) -> None:
        super()._write_rows()
        columns = [self._elements(xl_col_to_name(i), *given) for i, given in enumerate(self.columns)]
        for row, elements in enumerate(zip(*columns, strict=True), 2):
            self.fh.write(f'<row r="{row}">{"".join(elements)}</row>')

    def _elements(self, letters: str, cells: Sequence[Cell], strings: Mapping[str, int]) -> Iterator[str]:
        """The column's cells as XML, empty where there is nothing to write."""
        # In order of appearance: the library numbers a format when it is first asked for it.
        forms = dict.fromkeys(form for _, form in cells)
        styles = {form: f' s="{form._get_xf_index()}"' if form else "" for form in forms}
        for row, (value, form) in enumerate(cells, 2):
            if isinstance(value, str):
                yield f'<c r="{letters}{row}"{styles[form]} t="s"><v>{strings[value]}</v></c>'
            else:
                yield f'<c r="{letters}{row}"{styles[form]}><v>{value:.17g}</v></c>' if math.isfinite(value) else ""
