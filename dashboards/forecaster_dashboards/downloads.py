"""Files that are made when somebody asks for them, kept until his browser has fetched them."""

from __future__ import annotations

import time
from functools import cache

from streamlit.runtime.media_file_manager import MediaFileManager

# Seconds between two clearings of files that nobody holds; a file goes at the second clearing that finds it unheld.
SPARED = 30.0


@cache
def spare() -> None:
    """Let Streamlit clear away files at most every :data:`SPARED` seconds; once per process.

    It holds a file made on demand for no session, and clears at the end of every run of every session: with thirty
    readers at work one download in eight was gone before the browser that had asked for it came to fetch it.
    """
    clear, last = MediaFileManager.remove_orphaned_files, [time.monotonic()]

    def seldom(manager: MediaFileManager) -> None:
        if time.monotonic() - last[0] >= SPARED:
            last[0] = time.monotonic()
            clear(manager)

    setattr(MediaFileManager, "remove_orphaned_files", seldom)  # noqa: B010
