"""The command ``srdistill``, and ``python -m srdistill``: what the Makefile's targets call, by one name."""

import importlib
import sys
from importlib.metadata import PackageNotFoundError, version

# Each module's ``main`` takes the rest of the line and returns the exit status.
COMMANDS = {
    "tables": ("srdistill.study.run", "execute the notebooks and write papers_tables/ (in a checkout)"),
    "plan": ("srdistill.study.plan", "what that would compute, what it needs, and how long it takes (in a checkout)"),
    "export": ("srdistill.study.export", "the sets of a finished table, as folders that trainers read"),
    "distill": ("srdistill.distill.__main__", "a small training set for super-resolution from a folder of pictures"),
}


def usage() -> str:
    """What there is, a line each."""
    lines = [f"  {name:<8} {about}" for name, (_, about) in COMMANDS.items()]
    return "usage: srdistill COMMAND [OPTIONS]\n\n" + "\n".join(lines) + "\n\nsrdistill COMMAND --help says more."


def main(arguments: list[str] | None = None) -> int:
    """The exit status: the command's; 0 for ``--help`` and ``--version``, 2 for what there is not, and for a command that needs
    a package which is not installed."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] in (["-h"], ["--help"]):
        print(usage())
        return 0
    if given[:1] == ["--version"]:
        print(f"srdistill {_version()}")
        return 0
    if not given or given[0] not in COMMANDS:
        said = f"error: unknown command {given[0]!r}\n\n" if given else ""
        print(f"{said}{usage()}", file=sys.stderr)
        return 2
    try:
        return importlib.import_module(COMMANDS[given[0]][0]).main(given[1:])
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "srdistill", *sys.stdlib_module_names):
            raise  # no installation brings it
        print(
            f"error: srdistill {given[0]} needs the module {error.name}, which is not here; "
            "pip install 'srdistill[notebooks]', or pip install -r requirements.txt in a checkout",
            file=sys.stderr,
        )
        return 2


def _version() -> str:
    try:
        return version("srdistill")
    except PackageNotFoundError:
        return "of a checkout that is not installed"


if __name__ == "__main__":
    sys.exit(main())
