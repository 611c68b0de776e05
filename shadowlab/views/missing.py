"""What stands where a record should be: a report of half an incident is a report."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable
from typing import TypeVar

from shadowlab.views.shown import Page

R = TypeVar("R")


def missing(verb: str) -> Page:
    """What stands where a record should: nobody ran the verb yet."""
    return Page(f"<p><i>Not done yet: <code>shadowlab {html.escape(verb)} CASE</code></i></p>", f"{verb} was not run")


def made_by(verb: str) -> Callable[[Callable[[R], Page]], Callable[[R | None], Page]]:
    """A view of what `verb` makes."""

    def decorate(view: Callable[[R], Page]) -> Callable[[R | None], Page]:
        @functools.wraps(view)
        def shown(record: R | None) -> Page:
            return missing(verb) if record is None else view(record)

        return shown

    return decorate
