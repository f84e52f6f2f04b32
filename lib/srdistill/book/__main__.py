"""``python -m srdistill.book``, and ``make report``: build the site."""

import argparse
import sys

from srdistill.book.build import build
from srdistill.study.paths import BUILD


def main() -> int:
    """The exit status: 0, or 2 where there is nothing to show."""
    about = "Build the site of notebooks, tables, figures and the library's pages from what is committed; nothing is computed."
    parser = argparse.ArgumentParser(prog="python -m srdistill.book", description=about)
    parser.add_argument("--repository", default="", metavar="ADDRESS",
                        help="https://github.com/owner/name: two notebooks get a way into Colab")  # fmt: skip
    asked = parser.parse_args()
    try:
        print(f"open {build(BUILD, repository=asked.repository)}")
    except (FileNotFoundError, RuntimeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
