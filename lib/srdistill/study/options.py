"""What the command lines of running and planning share: notebooks, profile, seeds, one's own pictures, workers."""

import argparse
from pathlib import Path

from srdistill.study import rehearsal
from srdistill.study.engine.cluster import WORKERS
from srdistill.study.pairs import notebook_names, read_source
from srdistill.study.paths import NOTEBOOKS
from srdistill.study.profiles import PROFILES

# Every notebook has these; at 0 and "" they leave the choice to the profile.
DEFAULTS = ("seeds", "data")


class UsageError(ValueError):
    """A wrong notebook, profile or parameter name; the message lists the right ones."""


def check_parameters(name: str, parameters: dict) -> None:
    """Raise UsageError unless the notebook declares every parameter."""
    notebook = read_source(name)
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise UsageError(f"{name}: needs exactly one cell tagged 'parameters', has {len(cells)}")
    declared = {line.split("=")[0].strip() for line in cells[0].source.splitlines() if "=" in line.split("#")[0]}
    unknown = sorted(set(parameters) - declared)
    if unknown:
        raise UsageError(f"{name}: unknown parameter {unknown[0]!r}; it has: {', '.join(sorted(declared))}")


def resolve(names: list[str]) -> list[str]:
    """The notebooks asked for, all of them if none is; ``02`` is enough for ``02_downscaled_init``.

    Raises UsageError: an unknown one, or none at all.
    """
    known = notebook_names()
    if not known:
        raise UsageError(f"no notebooks in {NOTEBOOKS}; run this in a checkout of the repository")
    chosen = []
    for name in names or known:
        matches = [k for k in known if k == name or k.split("_")[0] == name]
        if not matches:
            raise UsageError(f"unknown notebook {name!r}; there are: {', '.join(known)}")
        chosen += matches
    return list(dict.fromkeys(chosen))


def label_of(profile: str, parameters: dict) -> str:
    """The folder of tables: the profile's, one for somebody's own pictures, or a rehearsal's."""
    return rehearsal.label_of(profile, parameters.get("data", ""))


def parser(prog: str, description: str) -> argparse.ArgumentParser:
    """Options that running and planning share."""
    made = argparse.ArgumentParser(prog=prog, description=description)
    made.add_argument("notebooks", nargs="*", help="e.g. 02_downscaled_init, or 02; all of them if none is named")
    made.add_argument("--profile", default="", help=f"one of {', '.join(PROFILES)} (default: laptop)")
    made.add_argument("--seeds", type=int, default=None, help="number of seeds (default: the profile's)")
    made.add_argument("--data", default="", help="a folder of your own training pictures, tests in its subfolder test")
    made.add_argument("--workers", type=int, default=None,
                      help=f"processes of one thread (default: {WORKERS}, or the physical cores)")  # fmt: skip
    return made


def checked(given: argparse.Namespace) -> dict:
    """The shared parameters of notebooks, ``seeds`` and ``data``. Raises UsageError."""
    for name in ("seeds", "workers"):
        asked = getattr(given, name)
        if asked is not None and asked < 1:
            raise UsageError(f"--{name} must be 1 or more, got {asked}; leave it out for the default")
    data = str(Path(given.data).expanduser().resolve()) if given.data else ""
    if data and not Path(data).is_dir():
        raise UsageError(f"--data: {given.data} is not a folder")
    return {"seeds": given.seeds or 0, "data": data}
