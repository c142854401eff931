"""Messages of readers speak of the command line and of folders; what that is on the page."""

from __future__ import annotations

import re

__all__ = ["on_page"]

_HERE = (
    "On this page: drop the files together; what a file does not tell goes into the fold “Beside "
    "the file”."
)
_ELSEWHERE = re.compile(r"(?<![\w-])--[a-z]|same folder|\bbeside it\b|give the structure")


def on_page(text: str) -> str:
    """``text`` of a reader, and what to do here if it speaks of options or of a folder."""
    return f"{text} {_HERE}" if _ELSEWHERE.search(text) else text
