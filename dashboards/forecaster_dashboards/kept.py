"""Results kept for all sessions of the process."""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition

from cachetools import LRUCache, cached


def kept[**P, R](most: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Keep the last results of a function by its arguments; who asks for one that is being made waits for it.

    Streamlit's own cache reads the function's signature and hashes every argument at each call, which was a tenth of
    the time of a lever's move.
    """
    return cached(LRUCache(most), condition=Condition())
