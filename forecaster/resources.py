"""Where the project's own data lie: inside the installed package, else in the checkout beside it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from forecaster.errors import ForecasterError


@cache
def data_dir() -> Path:
    """Folder that holds ``schemes/``, ``observed/``, ``demography/``, ``fitted/`` and ``bases/``.

    Raises
    ------
    ForecasterError
        When neither the installed package nor a checkout holds the folder.
    """
    package = Path(__file__).resolve().parent
    for candidate in (package / "data", package.parent / "data"):
        if (candidate / "schemes").is_dir():
            return candidate
    raise ForecasterError(
        f"the project's data folder was not found beside {package.name}; "
        "reinstall the package or run from a whole checkout"
    )
