"""Docstrings as the site shows them."""

import re

# ``name``, ``name``   what they are: two columns, as a reader of the source has them before the eyes.
_COLUMNS = re.compile(r"(``[^`]+``(?:, ``[^`]+``)*) {2,}(\S.*)")


def columns_as_list(app, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Lines of a name, or several, and what it is become points of a list.

    For autodoc, which gives the other arguments, too, and wants ``lines`` changed in place.
    """
    shown, listing = [], False
    for line in lines:
        found = _COLUMNS.fullmatch(line)
        if found:
            shown += ([] if listing or not shown or not shown[-1] else [""]) + [f"* {found[1]}: {found[2]}"]
        else:
            shown.append(f"  {line}" if listing and line and not line.startswith(" ") else line)
        listing = bool(found) or (listing and bool(line))
    lines[:] = shown
