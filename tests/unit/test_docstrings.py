"""Every public function and method says what it takes and gives, in which unit, and which errors it raises itself."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import srdistill

LIBRARY = Path(srdistill.__file__).parent
# A shape in brackets, a scalar, or a reference to what says it.
SHAPES = re.compile(r"\((\.\.\.|\*?\w+( [-+*/] \w+)*),[^()]*\)|scalar|shape|[Aa]s ``|[Aa]s \w+ (does|gives)")
PIXELS = re.compile(r"\b(px|pixels)\b")
LENGTHS = {"size", "side", "crop", "tile", "patch"}
# Arguments and fields of these names that are no lengths of pictures, and the word that says what they are.
OTHER_UNITS = {
    "catalogue/downloads.py: Archive": "bytes",
    "catalogue/downloads.py: FileList": "bytes",
    "diffusion/dit.py: new_dit": "latent cells",
    "needs.py: Need": "bytes",
    "networks/transformer.py: from_windows": "positions",
    "networks/transformer.py: reflect_to_multiple": "positions",
    "networks/transformer.py: relative_bias": "positions",
    "networks/transformer.py: to_windows": "positions",
    "networks/hit_sr.py: PositionBias.forward": "positions",
    "papers/beyond/shaping/cosine_transform.py: cosine_matrix": "values",
    "papers/labelfree/fine_tuning.py: FineTuning": "latent cells",
    "papers/labelfree/high_frequency.py: HighFrequency": "latent cells",
    "papers/labelfree/minimax.py: ClassMemory": "vectors",
    "priors/pinned_model.py: PublishedModel": "bytes",
    "priors/pinned_model.py: repository_need": "bytes",
    "priors/weights_file.py: WeightsFile": "bytes",
    "sets/coded_set.py: coded": "``side`` tiles",
    "sets/coded_set.py: encoded_bytes": "``side`` tiles",
    "sets/coded_set.py: within_bytes": "``side`` tiles",
    "sets/mosaics.py: columns_of": "``side`` tiles",
    "sets/mosaics.py: mosaic_bytes": "``side`` tiles",
    "sets/mosaics.py: mosaics": "``side`` tiles",
    "sets/mosaics.py: write_mosaics": "``side`` tiles",
    "study/pages/drawing.py: panels": "inches",
}


class Documented(NamedTuple):
    """A public function, method or class: where it is, its source, and what its docstring says."""

    where: str
    node: ast.FunctionDef | ast.ClassDef
    said: str


MODULES = {
    str(path.relative_to(LIBRARY)): ast.parse(path.read_text(encoding="utf-8")).body for path in sorted(LIBRARY.rglob("*.py"))
}
CLASSES = {node.name: node for body in MODULES.values() for node in body if isinstance(node, ast.ClassDef)}


def public(body, kind):
    # Names that begin with an underscore are private; those of Python's own (__len__, __call__) mean what Python says, and
    # what __init__ takes is in the docstring of the class.
    return [node for node in body if isinstance(node, kind) and not node.name.startswith("_")]


def said_by(node):
    return ast.get_docstring(node) or ""


def said_of(method, of):
    """What a method's docstring says, with those that a reader is sent to."""
    said = said_by(method)
    # ``help`` shows the docstring of the base where a method has none of its own; others say so: See ``Base``.
    others = re.findall(r"[Ss]ee ``(\w+)``", said) if said else [base.id for base in of.bases if isinstance(base, ast.Name)]
    for other in others:
        same = [part for part in getattr(CLASSES.get(other), "body", []) if getattr(part, "name", None) == method.name]
        said += "".join(map(said_by, same))
    if method.name == "forward":
        # A module is called, not its ``forward``: what it takes and gives is in the docstring of the class.
        said += said_by(of)
    return said


def public_functions():
    for file, body in MODULES.items():
        for node in public(body, ast.FunctionDef):
            yield Documented(f"{file}: {node.name}", node, said_by(node))


def public_classes():
    for file, body in MODULES.items():
        for node in public(body, ast.ClassDef):
            yield Documented(f"{file}: {node.name}", node, said_by(node))


def public_methods():
    for of in public_classes():
        for node in public(of.node.body, ast.FunctionDef):
            yield Documented(f"{of.where}.{node.name}", node, said_of(node, of.node))


def functions_and_methods():
    return [*public_functions(), *public_methods()]


def arguments(node):
    return [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]


def fields(node):
    """What a class is made with: annotated fields, and the arguments of ``__init__``, by name."""
    for part in node.body:
        if isinstance(part, ast.AnnAssign):
            yield part.target.id
        elif isinstance(part, ast.FunctionDef) and part.name == "__init__":
            yield from (argument.arg for argument in arguments(part))


def annotations(node):
    given = [argument.annotation for argument in arguments(node)] + [node.returns]
    return [ast.unparse(part) for part in given if part is not None]


def test_every_public_function_method_and_class_has_a_docstring():
    functions, methods, classes = list(public_functions()), list(public_methods()), list(public_classes())
    assert len(functions) > 600 and len(methods) > 400 and len(classes) > 200
    assert [one.where for one in (*functions, *methods, *classes) if not one.said] == []


def test_errors_that_a_function_raises_are_in_its_docstring():
    silent = []
    for where, node, said in functions_and_methods():
        raises = any(isinstance(part, ast.Raise) and part.exc is not None for part in ast.walk(node))
        if raises and not re.search("[Rr]aise|[Ee]rror", said):
            silent.append(where)
    assert silent == []


def test_functions_of_tensors_say_their_shapes():
    silent = []
    for where, node, said in functions_and_methods():
        if any("Tensor" in part for part in annotations(node)) and not SHAPES.search(said):
            silent.append(where)
    assert silent == []


def test_lengths_have_a_unit():
    silent, seen = [], set()
    named = [(one, {argument.arg for argument in arguments(one.node)}) for one in functions_and_methods()]
    named += [(one, set(fields(one.node))) for one in public_classes()]
    for (where, _, said), names in named:
        if names & LENGTHS:
            seen.add(where)
            if not (OTHER_UNITS[where] in said if where in OTHER_UNITS else PIXELS.search(said)):
                silent.append(where)
    assert silent == []
    assert set(OTHER_UNITS) <= seen


def test_types_of_pictures_say_their_shape_and_methods_how_large_their_images_are():
    """What takes or gives pictures is documented by their types, but for how large the images are that a method makes."""
    types = {"Pictures", "LabelledPictures", "PictureFiles", "DistilledSet", "LearnedSet"}
    silent = [name for name in types if not SHAPES.search(said_by(CLASSES[name]))]
    for where, node, said in public_functions():
        makes = node.returns is not None and ast.unparse(node.returns) == "DistilledSet"
        if makes and "real" in {argument.arg for argument in arguments(node)}:
            if not SHAPES.search(said) and not re.search(r"\bpx\b", said):
                silent.append(where)
    assert silent == []
