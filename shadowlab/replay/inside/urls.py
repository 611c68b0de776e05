"""Take URLs apart, whatever they hold: a recorded one may be none."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def split(url: str) -> SplitResult:
    """As `urllib.parse.urlsplit` does; what it refuses has a path and a query, and no host."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # brackets that hold no address, a port that is none
        path, _, query = url.partition("#")[0].partition("?")
        return SplitResult("", "", path.rpartition("@")[2], query, "")
    return parts


def bare(url: str) -> str:
    """A URL without user, password and query, which may be secret."""
    parts = split(url)
    if not parts.scheme:
        return parts.path
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
