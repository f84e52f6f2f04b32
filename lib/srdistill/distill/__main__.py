"""The command line of ``python -m srdistill.distill``, and of ``make distill``."""

import argparse
import shlex
import sys

from srdistill.distill.card import summary
from srdistill.distill.make import distill
from srdistill.distill.methods import METHODS
from srdistill.distill.request import FORMATS, LR_SIDE, SCALES, Request
from srdistill.files import DiskError
from srdistill.study.engine.cluster import physical_cores

_INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    """All options with their defaults."""
    usual = Request("pictures")
    made = argparse.ArgumentParser(
        prog="python -m srdistill.distill",
        description="Make a small training set for super-resolution from a folder of pictures, which is only read. An "
        "interrupted run goes on when the same command is given again. card.md in the new folder says how the set was made.",
    )
    of = made.add_argument
    of("--data", default="", metavar="FOLDER", help="the pictures, in this folder and those below it (needed)")
    of("--budget", default="", metavar="PERCENT", help="share of the pixels to keep (default: 1%%)")
    of("--bytes", default="", metavar="SIZE", help="instead of a share: how large the files may be, e.g. 500kB or 5MB")
    of("--scale", type=int, default=usual.scale, metavar="N",
       help=f"of the super-resolution, {', '.join(map(str, SCALES))} (default: {usual.scale})")  # fmt: skip
    of("--out", default="", metavar="FOLDER", help="new or empty (default: distilled_NAME in the current folder)")
    of("--tile", type=int, default=None, metavar="PX",
       help=f"side of a tile, {LR_SIDE} times the scale unless told (default: {usual.tile})")  # fmt: skip
    of("--method", default=usual.method, help=_choice({name: method.about for name, method in METHODS.items()}, usual.method))
    of("--format", default=usual.format, help=_choice(FORMATS, usual.format))
    of("--share", type=float, default=usual.share, metavar="X",
       help=f"of a tile's detail that the format cheapest may cost (default: {usual.share})")  # fmt: skip
    of("--seed", type=int, default=usual.seed, metavar="N", help=f"of all draws (default: {usual.seed})")
    of("--workers", type=int, default=0, metavar="N", help="threads (default: the physical cores); files do not depend on them")
    return made


def _choice(known: dict[str, str], usual: str) -> str:
    return "; ".join(f"{name}: {about}" for name, about in known.items()) + f" (default: {usual})"


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0, 2 for a request that cannot be met, 130 for an interrupted run."""
    given = vars(parser().parse_args(arguments))
    command = shlex.join(["python", "-m", "srdistill.distill", *(sys.argv[1:] if arguments is None else arguments)])
    workers = given.pop("workers")
    try:
        made = distill(Request(**given), physical_cores() if workers == 0 else workers, command)
    except (ValueError, DiskError, PermissionError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; give the same command again to go on", file=sys.stderr)
        return _INTERRUPTED
    for name, why in made.unreadable:
        print(f"skipped {name}: {why}", file=sys.stderr)
    print(summary(made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
