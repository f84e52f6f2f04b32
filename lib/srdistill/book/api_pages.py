"""The library's own pages: one for each package, its modules in the order of their names, from their docstrings."""

import importlib.util
import pkgutil
from collections.abc import Iterator

# A shelf or wing a page; what stands beside them is one page more.
_LIBRARY = "library"


def packages() -> list[str]:
    """Names of the top packages, and of the wings."""
    found = [name for name, is_package in _below(_path("srdistill"), "srdistill.") if is_package and name != __package__]
    wings = [name for name, is_package in _below(_path("srdistill.papers"), "srdistill.papers.") if is_package]
    return sorted([name for name in found if name != "srdistill.papers"] + wings)


def api_pages() -> dict[str, str]:
    """Markdown by the name of its file."""
    pages = {name.removeprefix("srdistill."): _page(name, list(_modules(name))) for name in packages()}
    single = [name for name, is_package in _below(_path("srdistill"), "srdistill.") if not is_package]
    return pages | {_LIBRARY: _page("srdistill", [name for name in single if not name.endswith("__main__")])}


def _page(name: str, modules: list[str]) -> str:
    parts = [f"# `{name}`", _directive(name, "no-members")] if name != "srdistill" else [f"# `{name}`"]
    for module in modules:
        parts += [f"## `{module.removeprefix('srdistill.')}`", _directive(module, "members")]
    return "\n\n".join(parts) + "\n"


def _directive(module: str, members: str) -> str:
    return f"```{{eval-rst}}\n.. automodule:: {module}\n   :{members}:\n```"


def _modules(package: str) -> Iterator[str]:
    for name, is_package in _below(_path(package), f"{package}."):
        if name.endswith("__main__"):
            continue
        yield name
        if is_package:
            yield from _modules(name)


def _below(path, prefix: str) -> Iterator[tuple[str, bool]]:
    return ((found.name, found.ispkg) for found in pkgutil.iter_modules(path, prefix))


def _path(package: str):
    return importlib.util.find_spec(package).submodule_search_locations
