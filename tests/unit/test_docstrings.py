"""Every public function says what it takes and gives, and which errors it raises itself."""

import ast
import re
from pathlib import Path

import srdistill

LIBRARY = Path(srdistill.__file__).parent
# A shape in brackets, a number, or a reference to what says it.
SHAPES = re.compile(
    r"\((\w|\.\.\.|\*)[^()]*,[^()]*\)|scalar|shape|[Aa]s ``|[Aa]s \w+ (does|gives)|images|weights|codes|logits"
)


def public_functions():
    for path in sorted(LIBRARY.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                yield f"{path.relative_to(LIBRARY)}: {node.name}", node, ast.get_docstring(node) or ""


def test_every_public_function_has_a_docstring():
    found = list(public_functions())
    assert len(found) > 500
    assert [name for name, _, said in found if not said] == []


def test_errors_that_a_function_raises_are_in_its_docstring():
    silent = []
    for name, node, said in public_functions():
        raises = any(isinstance(part, ast.Raise) and part.exc is not None for part in ast.walk(node))
        if raises and not re.search("[Rr]aise|[Ee]rror", said):
            silent.append(name)
    assert silent == []


def test_functions_of_tensors_say_their_shapes():
    silent = []
    for name, node, said in public_functions():
        given = [part.annotation for part in (*node.args.args, *node.args.kwonlyargs) if part.annotation] + [node.returns]
        if any(part is not None and "Tensor" in ast.unparse(part) for part in given) and not SHAPES.search(said):
            silent.append(name)
    assert silent == []
