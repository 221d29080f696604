"""Tables that are rows on a wide screen and one block under the other on a phone, where each cell names its column."""

import re
from collections.abc import Sequence
from typing import Final

from markupsafe import Markup, escape

Heading = str | tuple[str, str]
"""What stands above a column; with the class of its cells where they have one, as `number`."""
_TAG: Final = re.compile(r"<tr\b|<t[dh]\b([^>]*)>|</td>")
_SPAN: Final = re.compile(r'colspan="(\d+)"')


def name_of(heading: Heading) -> str:
    """The words of a heading."""
    return heading if isinstance(heading, str) else heading[0]


def class_of(heading: Heading) -> str:
    """The class of a heading's column, or nothing."""
    return "" if isinstance(heading, str) else heading[1]


def labelled(rows: Markup, headings: Sequence[Heading]) -> Markup:
    """Rows as a template drew them, each cell with the words above it and what it holds in one element.

    In attributes of what templates draw a `>` is always escaped, so a tag ends at the first one.
    """
    column = 0

    def told(match: re.Match[str]) -> str:
        nonlocal column
        tag, attributes = match.group(), match.group(1) or ""
        if tag == "<tr":
            column = 0
            return tag
        if tag == "</td>":
            return "</div></td>"
        place, span = column, _SPAN.search(attributes)
        column += int(span[1]) if span is not None else 1
        if tag.startswith("<th"):
            return tag
        name = "" if span is not None else name_of(headings[place])
        return f'<td data-label="{escape(name)}"{attributes}><div>'

    return Markup(_TAG.sub(told, rows))  # noqa: S704 - what the template escaped stays as it was
