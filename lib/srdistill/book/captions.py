"""Captions and alternative texts: plain text, wherever it came from, as pages of the site take it."""

import json
import re
from pathlib import Path

from PIL import Image

# Where a PNG file keeps what it shows, one of the keywords that the format itself names.
_DESCRIPTION = "Description"


def described(path: Path) -> str:
    """What a PNG file says that it shows, empty if it says nothing. Raises OSError: no picture can be read there."""
    with Image.open(path) as picture:
        return _line(str(picture.info.get(_DESCRIPTION, "")))


def has_vector(path: Path) -> bool:
    """Whether there is an SVG of the same name beside a PNG file; there is none of photographs."""
    return path.with_suffix(".svg").exists()


def figure(address: str, alt: str, caption: str, vector: bool = False) -> str:
    """A figure in MyST Markdown, of an image at ``address``. Both texts are plain, and shown letter by letter.

    ``vector``: an SVG of the same name is at hand, and linked below the caption.
    """
    quoted = json.dumps(_line(alt), ensure_ascii=False)
    link = f"\n\n[as SVG]({address.rpartition('.')[0]}.svg)" if vector else ""
    return f"```{{figure}} {address}\n:alt: {quoted}\n\n{as_markdown(caption)}{link}\n```"


def as_markdown(text: str) -> str:
    """One paragraph of Markdown that shows exactly this plain text."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", _line(text))


def last_sentence(markdown: str) -> str:
    """The last sentence of a piece of Markdown without its markup; empty if there are no words in it.

    Code, formulas on lines of their own and tables are passed over.
    """
    text = re.sub(r"```[\s\S]*?```|\$\$[\s\S]*?\$\$|^ *\|.*$|<!--[\s\S]*?-->", "", markdown, flags=re.MULTILINE)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    # A heading and every point of a list are paragraphs of their own.
    text = re.sub(r"^ *#+ +(.*)$", r"\n\n\1\n\n", text, flags=re.MULTILINE)
    text = re.sub(r"^ *(?:[-*+>]|\d+[.)]) +", "\n\n", text, flags=re.MULTILINE)
    text = re.sub(r"[*`$\\]", "", text)
    paragraphs = [found for part in re.split(r"\n\s*\n", text) if re.search(r"\w", found := _line(part))]
    return re.split(r"(?:(?<=[.!?])|(?<=[.!?]\)))\s+(?=[A-Z])", paragraphs[-1])[-1] if paragraphs else ""


def _line(text: str) -> str:
    return " ".join(text.split())
