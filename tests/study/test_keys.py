"""What code and values count as: a changed line is seen, a changed comment is not."""

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

import srdistill
from srdistill.study.engine import keys
from srdistill.study.engine.keys import code_digest, file_digest, key_of


def test_key_does_not_depend_on_the_order_of_a_dict():
    assert key_of({"a": 1, "b": {"c": 2, "d": 3}}) == key_of({"b": {"d": 3, "c": 2}, "a": 1})


@pytest.mark.parametrize("other", [{"a": 2}, {"b": 1}, {"a": 1.5}, {"a": "1"}, {"a": 1, "b": None}, {"a": [1]}])
def test_key_depends_on_names_values_and_kinds(other):
    assert key_of({"a": 1}) != key_of(other)


@pytest.fixture
def library_method(tmp_path, monkeypatch):
    """``library_method(source, helper)``: the function ``method`` of a made-up module of the library."""

    def forget():
        for cached in (keys._tree, keys._imports, keys._is_module, keys._essence, keys._closure_digest):
            cached.cache_clear()

    def load(source: str, helper: str = "def helper():\n    return 1\n"):
        forget()
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
    forget()


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


def test_a_file_counts_alone_where_that_is_asked(library_method):
    digest = file_digest(library_method(_PLAIN))
    assert file_digest(library_method(_PLAIN, helper="def helper():\n    return 2\n")) == digest
    assert file_digest(library_method("def method():\n    return helper() + 1\n")) != digest


# --- functions of a notebook ---------------------------------------------------------------------------------------------


def cell(source: str, **around) -> dict:
    """What a notebook knows after a cell; its code cannot be found in any file."""
    namespace = {"__name__": "__main__", **around}
    exec(compile(source, "<cell>", "exec"), namespace)
    return namespace


def digest(source: str, **around) -> str:
    return code_digest(cell(source, **around)["method"])


_BODY = "def method(real):\n    return {}\n"


def test_a_function_of_a_notebook_counts_by_its_own_source():
    assert digest(_BODY.format("real")) == digest(_BODY.format("real")) != digest(_BODY.format("real[1:]"))
    assert digest(_BODY.format("real.images")) != digest(_BODY.format("real.names"))
    assert digest("def method(real, by=1):\n    return by\n") != digest("def method(real, by=2):\n    return by\n")


CALLS = {
    "directly": "helper(real)",
    "in a comprehension": "[helper(one) for one in real]",
    "in a generator": "sum(helper(one) for one in real)",
    "in a lambda": "sorted(real, key=lambda one: helper(one))",
    "through another helper": "between(real)",
}
_BETWEEN = "def between(real):\n    return helper(real)\n"


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_helpers_beside_it_count(call):
    one, two = (f"def helper(x):\n    return x + {n}\n" + _BETWEEN + _BODY.format(call) for n in (1, 2))
    assert digest(one) == digest(one) != digest(two)


def test_a_helper_that_it_does_not_name_does_not_count():
    assert digest("def helper(x):\n    return 1\n" + _BODY.format("real")) == digest(_BODY.format("real"))


def test_helpers_that_call_each_other_are_followed_once():
    source = "def helper(x):\n    return method(x)\n" + _BODY.format("helper(real)")
    assert digest(source) == digest(source)


@pytest.mark.parametrize(("one", "two"), [(1, 2), ("a", "b"), ((1, 2), (1, 3)), ([1], [2]), ({"a": 1}, {"a": 2}), (None, 0)])
def test_values_that_it_names_count(one, two):
    assert digest(_BODY.format("LIMIT"), LIMIT=one) == digest(_BODY.format("LIMIT"), LIMIT=one)
    assert digest(_BODY.format("LIMIT"), LIMIT=one) != digest(_BODY.format("LIMIT"), LIMIT=two)


def test_a_value_that_is_only_called_like_an_attribute_does_not_count():
    assert digest(_BODY.format("real.size"), size=1) == digest(_BODY.format("real.size"), size=2)


def test_a_class_beside_it_counts():
    source = "class Helper:\n    rate = {}\n    @property\n    def twice(self):\n        return {} * self.rate\n"
    one, other_rate, other_body = (
        digest(source.format(*numbers) + _BODY.format("Helper().twice")) for numbers in ((1, 2), (3, 2), (1, 3))
    )
    assert len({one, other_rate, other_body}) == 3
    base = "class Base:\n    def go(self):\n        return {}\nclass Helper(Base):\n    pass\n" + _BODY.format("Helper().go()")
    assert digest(base.replace("{}", "1")) != digest(base.replace("{}", "2"))


def test_a_class_of_a_notebook_can_be_a_setting():
    assert code_digest(cell("class Helper:\n    rate = 1\n")["Helper"]) != code_digest(
        cell("class Helper:\n    rate = 2\n")["Helper"]
    )


def test_parts_of_the_library_that_it_names_count(changed_code):
    from srdistill.sets import random_crops

    found = {
        "function": lambda: digest(_BODY.format("random_crops(real)"), random_crops=random_crops.random_crops),
        "module": lambda: digest(_BODY.format("sets.random_crops(real)"), sets=random_crops),
    }
    before = {name: one() for name, one in found.items()}
    assert before == {name: one() for name, one in found.items()}
    changed_code("srdistill.sets.windows")
    assert all(before[name] != one() for name, one in found.items())


def test_the_library_imports_only_in_the_forms_that_digests_follow():
    missed = []
    for path in Path(srdistill.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            relative = isinstance(node, ast.ImportFrom) and node.level
            if relative or (isinstance(node, ast.Import) and any(one.name.startswith("srdistill") for one in node.names)):
                missed.append(f"{path.name}: {ast.unparse(node)}")
    assert not missed


def test_a_module_that_is_imported_from_its_package_is_followed():
    found = keys._imports("srdistill.study.engine.work")
    assert {"srdistill.progress", "srdistill.study.engine.store", "srdistill.study.engine.tasks"} <= set(found)
    assert "srdistill.study.engine.tasks.Task" not in found


def test_a_tree_whose_depth_another_thread_has_changed_is_parsed_again(monkeypatch):
    parse, calls = ast.parse, []

    def interrupted(text):
        calls.append(text)
        if len(calls) < 4:
            raise SystemError("AST constructor recursion depth mismatch (before=69, after=293)")
        return parse(text)

    monkeypatch.setattr(ast, "parse", interrupted)
    assert ast.dump(keys._parsed("a = 1")) == ast.dump(parse("a = 1")) and len(calls) == 4
    monkeypatch.setattr(ast, "parse", lambda _: (_ for _ in ()).throw(SystemError("always")))
    with pytest.raises(SystemError, match="always"):
        keys._parsed("a = 1")
