"""How long work of a kind took, from the entries of the store."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping

from srdistill.study.engine.store import Store


def alike(spec: Mapping) -> str:
    """The same for tasks that take about equally long: step, function, device and settings, whatever data, seed and code.

    The settings hold networks, sizes and iterations, so profiles differ.
    """
    settings = _without_sources(spec["settings"])
    text = json.dumps([spec["kind"], spec["function"], spec["device"], settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _without_sources(value: object) -> object:
    """Tasks and resources become what they are, not which."""
    if isinstance(value, dict):
        if set(value) in ({"task"}, {"resource"}):
            return next(iter(value))
        if set(value) == {"function", "code"}:
            return value["function"]
        return {name: _without_sources(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_without_sources(entry) for entry in value]
    return value


def stored_seconds(store: Store, kinds: Iterable[str]) -> dict[str, list[float]]:
    """The seconds of all entries of these kinds, by ``alike``; damaged ones are left out."""
    found: dict[str, list[float]] = {}
    for kind in kinds:
        for path in (store.root / kind).glob("*.json"):
            try:
                body = json.loads(path.read_text())
                seconds = float(body["seconds"])
                if math.isfinite(seconds) and seconds >= 0:
                    found.setdefault(alike(body["spec"]), []).append(seconds)
            except (OSError, ValueError, KeyError, TypeError):
                continue
    return found
