"""What a stored result depends on, in words that can be hashed: values, data, and the code that made it."""

import ast
import hashlib
import importlib.util
import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from functools import lru_cache
from pathlib import Path

import torch

import srdistill
from srdistill.images.pictures import Pictures
from srdistill.sets.distilled_set import DistilledSet

_PACKAGE = Path(srdistill.__file__).parent


def plain(value):
    """A JSON value that stands for ``value``: data and networks by the hash of their contents."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, Pictures):
        return {"Pictures": value.digest}
    if isinstance(value, DistilledSet):
        return {"DistilledSet": value.digest} | ({"latents": hash_tensors(value.latents)} if value.latents else {})
    if isinstance(value, torch.nn.Module):
        return _plain_network(value)
    if isinstance(value, torch.Tensor):
        return {"tensor": hash_tensors({"": value})}
    if is_dataclass(value):
        return plain(asdict(value))
    if callable(value):
        return {"function": value.__qualname__, "code": code_digest(value)}
    raise TypeError(
        f"cannot tell one {type(value).__name__} from another, so a result that depends on it cannot be stored; "
        "give numbers, strings, lists, pictures, distilled sets or networks"
    )


def _plain_network(network: torch.nn.Module) -> dict:
    """Its weights, its plain attributes (which layer of a generator, say), and the code of its class if it is ours."""
    simple = (bool, int, float, str, type(None))
    about = {name: value for name, value in vars(network).items() if isinstance(value, simple) and name[0] != "_"}
    about.pop("training")
    kind = type(network)
    if kind.__module__.startswith("srdistill."):
        about["code"] = code_digest(kind)
    return {"weights": hash_tensors(network.state_dict()), "class": kind.__name__} | about


def hash_tensors(tensors: dict[str, torch.Tensor]) -> str:
    """SHA-256 over names, shapes and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def key_of(spec: dict) -> str:
    """The key of a spec: the hash of its canonical JSON."""
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:32]


def code_digest(function: Callable | type) -> str:
    """Hash of the code behind a function, or a class of this library: its module and all of the library that it imports.

    Comments and docstrings do not count. A function written in a notebook counts by its own source.
    """
    module = inspect.getmodule(function)
    name = getattr(module, "__name__", "__main__")
    if not name.startswith("srdistill."):
        try:
            source = inspect.getsource(function)
        except (OSError, TypeError):
            source = function.__code__.co_code.hex() + repr(function.__code__.co_consts)
        return hashlib.sha256((source + _helpers(function, {function.__name__})).encode()).hexdigest()[:16]
    return _closure_digest(name)


def _helpers(function: Callable, seen: set[str]) -> str:
    """The sources of the functions beside it that a notebook's function calls, and that those call."""
    text = ""
    for name in getattr(getattr(function, "__code__", None), "co_names", ()):
        helper = function.__globals__.get(name)
        if inspect.isfunction(helper) and helper.__module__ == function.__module__ and name not in seen:
            seen.add(name)
            text += inspect.getsource(helper) + _helpers(helper, seen)
    return text


@lru_cache(maxsize=256)
def _closure_digest(module: str) -> str:
    seen, pending = set(), [module]
    while pending:
        current = pending.pop()
        if current not in seen:
            seen.add(current)
            pending += _imports(current)
    text = "".join(f"{name}:{_essence(name)}" for name in sorted(seen))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@lru_cache(maxsize=256)
def _tree(module: str) -> ast.Module:
    spec = sys.modules[module].__spec__ if module in sys.modules else importlib.util.find_spec(module)
    return ast.parse(Path(spec.origin).read_text())


def _imports(module: str) -> list[str]:
    """The modules of this library that ``module`` imports; the package's own ``__init__`` holds nothing that matters."""
    found = []
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("srdistill."):
            found.append(node.module)
    return found


def _essence(module: str) -> str:
    """The syntax tree without docstrings, or any other string that stands alone."""
    tree = ast.parse(ast.unparse(_tree(module)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [part for part in node.body if not _is_text(part)] or [ast.Pass()]
    return ast.dump(tree)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
