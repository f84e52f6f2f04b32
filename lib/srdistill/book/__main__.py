"""``python -m srdistill.book``, and ``make report``: build the site."""

import sys

from srdistill.book.build import build
from srdistill.study.paths import BUILD


def main() -> int:
    """The exit status: 0, or 2 where there is nothing to show."""
    try:
        print(f"open {build(BUILD)}")
    except (FileNotFoundError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
