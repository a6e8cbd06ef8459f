"""Valuations published elsewhere, run through this project's own ledger and measures."""

from forecaster.published.document import Document, read_document, shipped_documents
from forecaster.published.flows import Flows, flows_of
from forecaster.published.table import COLUMNS, PublishedTable, read_published_table
from forecaster.published.value import TARGETS, PublishedValuation, basis_of, hold, law_of, value, value_document

__all__ = [
    "COLUMNS",
    "TARGETS",
    "Document",
    "Flows",
    "PublishedTable",
    "PublishedValuation",
    "basis_of",
    "flows_of",
    "hold",
    "law_of",
    "read_document",
    "read_published_table",
    "shipped_documents",
    "value",
    "value_document",
]
