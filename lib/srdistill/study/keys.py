"""What a result depends on, in words that can be hashed: values, and the code that makes it.

Code counts by its syntax tree: comments, docstrings and layout do not. A function of the library counts with every module of
the library that it imports, directly or not; one that was written in a notebook counts by its own source, the helpers beside
it that it calls, and the numbers and strings there that it names.
"""

import ast
import hashlib
import importlib.util
import inspect
import json
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

_LIBRARY = "srdistill."
_SIMPLE = (bool, int, float, str, type(None))


def key_of(spec: dict) -> str:
    """The key of a spec (JSON values): the hash of its canonical JSON, 32 hexadecimal digits."""
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:32]


def is_library(function: Callable | type) -> bool:
    """Whether it was defined in this library, and so exists in every process that runs the same version."""
    return (getattr(function, "__module__", None) or "").startswith(_LIBRARY)


def code_digest(function: Callable | type) -> str:
    """Hash of the code behind a function or class, with all of the library that its module imports."""
    if is_library(function):
        return _closure_digest(function.__module__)
    return _digest(_own_source(function, set()))


def file_digest(function: Callable) -> str:
    """Hash of the module that a function of the library stands in, and of that module alone."""
    return _digest(_essence(function.__module__)) if is_library(function) else code_digest(function)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _own_source(function: Callable, seen: set[str]) -> str:
    """The source of a notebook's function, and of what it names in that notebook."""
    seen.add(function.__name__)
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        text = function.__code__.co_code.hex() + repr(function.__code__.co_consts)
    if not inspect.isfunction(function):
        return text
    for name in sorted(set(function.__code__.co_names)):
        value = function.__globals__.get(name, ...)
        if isinstance(value, _SIMPLE) and not name.startswith("__"):
            text += f"\n{name}={value!r}"
        elif inspect.isfunction(value) and value.__module__ == function.__module__ and name not in seen:
            text += _own_source(value, seen)
    return text


@lru_cache(maxsize=512)
def _closure_digest(module: str) -> str:
    seen, pending = set(), [module]
    while pending:
        current = pending.pop()
        if current not in seen:
            seen.add(current)
            pending += _imports(current)
    return _digest("".join(f"{name}:{_essence(name)}" for name in sorted(seen)))


@lru_cache(maxsize=512)
def _tree(module: str) -> ast.Module:
    spec = sys.modules[module].__spec__ if module in sys.modules else importlib.util.find_spec(module)
    return ast.parse(Path(spec.origin).read_text())


@lru_cache(maxsize=512)
def _imports(module: str) -> tuple[str, ...]:
    """The modules of this library that ``module`` imports, inside functions too."""
    found = []
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module and (node.module + ".").startswith(_LIBRARY):
            if node.module != _LIBRARY[:-1]:
                found.append(node.module)
            # ``from package import module``
            found += [name for name in (f"{node.module}.{alias.name}" for alias in node.names) if _is_module(name)]
    return tuple(found)


@lru_cache(maxsize=4096)
def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@lru_cache(maxsize=512)
def _essence(module: str) -> str:
    """The syntax tree without docstrings, or any other string that stands alone."""
    tree = ast.parse(ast.unparse(_tree(module)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [part for part in node.body if not _is_text(part)] or [ast.Pass()]
    return ast.dump(tree)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
