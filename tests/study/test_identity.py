import ast
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from srdistill.study.identity import code_digest, key_of, plain

import srdistill
from srdistill.images.pictures import Pictures
from srdistill.networks import build_network
from srdistill.sets.distilled_set import DistilledSet
from srdistill.study import identity


def test_key_does_not_depend_on_the_order_of_a_dict():
    assert key_of({"a": 1, "b": {"c": 2, "d": 3}}) == key_of({"b": {"d": 3, "c": 2}, "a": 1})


@pytest.mark.parametrize("other", [{"a": 2}, {"b": 1}, {"a": 1.5}, {"a": "1"}, {"a": 1, "b": None}, {"a": [1]}])
def test_key_depends_on_names_values_and_kinds(other):
    assert key_of({"a": 1}) != key_of(other)


def test_simple_values_stand_for_themselves():
    value = {"a": [1, 2.5, "x", None, True], "b": (1, 2)}
    assert plain(value) == {"a": [1, 2.5, "x", None, True], "b": [1, 2]}


def _pictures(level: int = 7, name: str = "one") -> Pictures:
    return Pictures((torch.full((3, 8, 8), level, dtype=torch.uint8),), (name,))


def _set(level: int = 7, codes: float | None = None) -> DistilledSet:
    latents = {} if codes is None else {"codes": torch.tensor([codes])}
    images = torch.full((1, 3, 8, 8), level, dtype=torch.uint8)
    return DistilledSet(images, torch.tensor([0]), ("one",), "method", latents=latents)


@dataclass
class _Options:
    rate: float
    images: torch.Tensor


def _network(seed: int = 0, width: int = 4):
    return build_network("SRCNN", 2, seed, widths=(width, 4))


def _method(real, *, size, generator):
    return real, size


def _other_method(real, *, size, generator):
    return real, size + 1


@pytest.mark.parametrize(
    ("first", "same", "different"),
    [
        (_pictures(), _pictures(), [_pictures(8), _pictures(name="two")]),
        (_set(), _set(), [_set(8)]),
        (_set(codes=1.0), _set(codes=1.0), [_set(), _set(codes=2.0)]),
        (torch.ones(2, 3), torch.ones(2, 3), [torch.zeros(2, 3), torch.ones(3, 2), torch.ones(2, 3).double()]),
        (_network(), _network(), [_network(1), _network(width=8)]),
        (
            _Options(1.0, torch.ones(2)),
            _Options(1.0, torch.ones(2)),
            [_Options(1.0, torch.zeros(2)), _Options(2.0, torch.ones(2))],
        ),
        (_method, _method, [_other_method]),
    ],
    ids=["pictures", "distilled set", "codes of a set", "tensor", "network", "dataclass", "function"],
)  # fmt: skip
def test_data_networks_and_functions_count_by_content(first, same, different):
    key = key_of({"value": plain(first)})
    assert key == key_of({"value": plain(same)})
    for other in different:
        assert key != key_of({"value": plain(other)})


def test_a_network_with_batch_norm_has_an_identity():
    first, second = torch.nn.BatchNorm2d(2), torch.nn.BatchNorm2d(2)
    assert plain(first) == plain(second)
    second.num_batches_tracked += 1
    assert plain(first) != plain(second)


def test_plain_attributes_of_a_network_count_and_its_mode_does_not():
    first, second = torch.nn.Conv2d(1, 1, 1), torch.nn.Conv2d(1, 1, 1)
    second.load_state_dict(first.state_dict())
    second.eval()
    assert plain(first) == plain(second)
    second.layer = 3
    assert plain(first) != plain(second)


def test_code_of_a_network_of_this_library_counts():
    assert plain(_network())["code"] == code_digest(type(_network()))
    assert "code" not in plain(torch.nn.Conv2d(1, 1, 1))


def test_a_tensor_on_its_side_counts_by_its_values():
    tensor = torch.arange(6).reshape(2, 3)
    assert plain(tensor.T) == plain(tensor.T.contiguous())


def test_an_object_without_an_identity_is_refused():
    with pytest.raises(TypeError, match="cannot tell one object from another.*give numbers"):
        plain({"setting": object()})


@pytest.fixture
def library_method(tmp_path, monkeypatch):
    """``library_method(source, helper)``: the function ``method`` of a made-up module of the library."""

    def load(source: str, helper: str = "def helper():\n    return 1\n"):
        identity._tree.cache_clear()
        identity._closure_digest.cache_clear()
        for name, text in (("probe_helper", helper), ("probe", "from srdistill.probe_helper import helper\n" + source)):
            path = tmp_path / f"{name}.py"
            path.write_text(text)
            spec = importlib.util.spec_from_file_location(f"srdistill.{name}", path)
            module = importlib.util.module_from_spec(spec)
            monkeypatch.setitem(sys.modules, f"srdistill.{name}", module)
            # Compiled files go by a time in whole seconds: two versions within one would look the same.
            exec(compile(text, path, "exec"), module.__dict__)
        return module.method

    yield load
    identity._tree.cache_clear()
    identity._closure_digest.cache_clear()


_PLAIN = "def method():\n    return helper()\n"


@pytest.mark.parametrize(
    "source",
    [
        "# why\ndef method():\n    return helper()  # what\n",
        '"""The module."""\ndef method():\n    """Says what it does."""\n    return helper()\n',
        "\n\ndef method():\n\n    return (helper())\n",
    ],
    ids=["comments", "new docstrings", "layout"],
)
def test_comments_docstrings_and_layout_do_not_count(library_method, source):
    assert code_digest(library_method(source)) == code_digest(library_method(_PLAIN))


def test_a_changed_docstring_does_not_count(library_method):
    first = library_method('def method():\n    """One."""\n    return helper()\n')
    digest = code_digest(first)
    assert code_digest(library_method('def method():\n    """Two."""\n    return helper()\n')) == digest


def test_changed_code_counts(library_method):
    digest = code_digest(library_method(_PLAIN))
    assert code_digest(library_method("def method():\n    return helper() + 1\n")) != digest


def test_changed_code_in_an_imported_module_counts(library_method):
    digest = code_digest(library_method(_PLAIN))
    assert code_digest(library_method(_PLAIN, helper="def helper():\n    return 2\n")) != digest


def test_a_docstring_in_an_imported_module_does_not_count(library_method):
    digest = code_digest(library_method(_PLAIN))
    assert code_digest(library_method(_PLAIN, helper='"""Helps."""\ndef helper():\n    return 1\n')) == digest


def test_a_function_of_a_notebook_counts_by_its_own_source():
    namespace = {"__name__": "__main__"}
    first = _in_notebook("def method(real):\n    return real\n", namespace)
    same = _in_notebook("def method(real):\n    return real\n", dict(namespace))
    other = _in_notebook("def method(real):\n    return real[1:]\n", dict(namespace))
    assert code_digest(first) == code_digest(same) != code_digest(other)


def _in_notebook(source: str, namespace: dict):
    exec(compile(source, "<cell>", "exec"), namespace)
    return namespace["method"]


def test_the_library_imports_only_in_the_forms_that_digests_follow():
    root = Path(srdistill.__file__).parent
    missed = []
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("srdistill")):
                folder = root.joinpath(*(node.module or "").split(".")[1:])
                submodule = any((folder / f"{alias.name}.py").exists() for alias in node.names)
                if node.level or submodule:
                    missed.append(f"{path.name}: {ast.unparse(node)}")
            if isinstance(node, ast.Import) and any(alias.name.startswith("srdistill.") for alias in node.names):
                missed.append(f"{path.name}: {ast.unparse(node)}")
    assert not missed
