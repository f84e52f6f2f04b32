"""What a result depends on, in words that can be hashed: values, and the code that makes it.

Code counts by its syntax tree: comments, docstrings and layout do not. A function of the library counts with every module below
the study layer that it imports, directly or not; one that was written in a notebook counts by its own source, and by what it
names: functions, classes and values beside it, and parts of the library.
"""

import ast
import dis
import hashlib
import importlib.util
import inspect
import json
import sys
import threading
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from types import CodeType

_LIBRARY = "srdistill."
# Declares, keeps and shows results, and decides none: a wing's loader that stands beside declarations does not depend on it.
_BOOKKEEPING = "srdistill.study."
_SIMPLE = (bool, int, float, str, type(None))
# See ``_parsed``.
_PARSING, _TRIES = threading.Lock(), 10


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


def _own_source(function: Callable | type, seen: set[str]) -> str:
    """The source of a notebook's function or class, and of what it names there."""
    seen.add(function.__name__)
    if isinstance(function, type):
        return _own_class(function, seen)
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        text = _bytecode(function.__code__)
    defaults = [*(function.__defaults__ or ()), *sorted((function.__kwdefaults__ or {}).items())]
    text += "".join(repr(value) for value in defaults if _is_value(value))
    for name in sorted(set(_globals_in(function.__code__)) - seen):
        value = function.__globals__.get(name, ...)
        if _is_value(value) and not name.startswith("__"):
            text += f"\n{name}={value!r}"
        elif inspect.ismodule(value) and (value.__name__ + ".").startswith(_LIBRARY) and value.__name__ != _LIBRARY[:-1]:
            text += f"\n{name}={_closure_digest(value.__name__)}"
        elif (inspect.isfunction(value) or isinstance(value, type)) and name not in seen:
            if is_library(value):
                text += f"\n{name}={code_digest(value)}"
            elif value.__module__ == function.__module__:
                text += _own_source(value, seen)
    return text


def _own_class(kind: type, seen: set[str]) -> str:
    """Member by member: of a whole class in a notebook, Python does not find the source."""
    text = f"class {kind.__name__}{[base.__qualname__ for base in kind.__bases__]}"
    for name, member in sorted(vars(kind).items()):
        member = getattr(member, "fget", None) or getattr(member, "__func__", member)
        if inspect.isfunction(member):
            text += f"\n{name}: {_own_source(member, seen)}"
        elif _is_value(member) and name not in ("__module__", "__doc__", "__firstlineno__"):
            text += f"\n{name}={member!r}"
    for base in kind.__bases__:
        if is_library(base):
            text += code_digest(base)
        elif base.__module__ == kind.__module__ and base.__name__ not in seen:
            text += _own_source(base, seen)
    return text


def _globals_in(code: CodeType) -> Iterator[str]:
    """Names that a function looks up around it, in comprehensions and lambdas inside it too."""
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield step.argval
    for inner in code.co_consts:
        if inspect.iscode(inner):
            yield from _globals_in(inner)


def _bytecode(code: CodeType) -> str:
    constants = [_bytecode(value) if inspect.iscode(value) else repr(value) for value in code.co_consts]
    return f"{code.co_code.hex()}{code.co_names}{constants}"


def _is_value(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_is_value, value)) and all(map(_is_value, value.values()))
    return isinstance(value, _SIMPLE) or (isinstance(value, list | tuple) and all(map(_is_value, value)))


@lru_cache(maxsize=512)
def _closure_digest(module: str) -> str:
    seen, pending = set(), [module]
    while pending:
        current = pending.pop()
        if current not in seen:
            seen.add(current)
            pending += [name for name in _imports(current) if not (name + ".").startswith(_BOOKKEEPING)]
    return _digest("".join(f"{name}:{_essence(name)}" for name in sorted(seen)))


@lru_cache(maxsize=512)
def _tree(module: str) -> ast.Module:
    spec = sys.modules[module].__spec__ if module in sys.modules else importlib.util.find_spec(module)
    return _parsed(Path(spec.origin).read_text())


def _parsed(text: str) -> ast.Module:
    """The tree of a source text.

    CPython (seen with 3.11) counts the depth of the trees that it builds for all threads together: one may find another's depth
    in place of its own, which raises SystemError. Nothing is wrong then, and the next try says so.
    """
    with _PARSING:
        for _ in range(_TRIES - 1):
            try:
                return ast.parse(text)
            except SystemError:
                continue
        return ast.parse(text)


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
    tree = _parsed(ast.unparse(_tree(module)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [part for part in node.body if not _is_text(part)] or [ast.Pass()]
    return ast.dump(tree)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
