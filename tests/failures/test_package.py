"""``pip install .``: the wheel has all that the library reads, works outside a checkout, and has the commands."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from srdistill.__main__ import COMMANDS, main
from srdistill.book.colab import ON_COLAB, with_badge
from srdistill.study.pairs import read_source
from srdistill.study.paths import PUBLISHED, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Distributions that are called otherwise than the module that they bring.
_CALLED = {"PIL": "pillow", "skimage": "scikit-image", "sklearn": "scikit-learn"}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the source distribution, and the wheel that was built from that and nothing else."""
    folder, source = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "lib" / "srdistill", source / "lib" / "srdistill", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(source)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def wheel(built) -> Path:
    return next(built.glob("srdistill-*.whl"))


@pytest.fixture(scope="module")
def clean(wheel, tmp_path_factory) -> Path:
    """An environment with the wheel, and what this one has but for the checkout; its ``bin``."""
    root = tmp_path_factory.mktemp("environment")
    venv.create(root / "venv")
    site = Path(sysconfig.get_path("purelib", vars={"base": str(root / "venv")}))
    # A folder that a .pth file names is searched, but no .pth file in it is read: not the one of the editable checkout.
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(root / "venv" / "bin" / "python"), "install", "--quiet", "--no-deps",
         "--ignore-installed", str(wheel)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return root / "venv" / "bin"


def run(clean: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run([str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def test_every_module_is_imported_from_the_wheel(clean, tmp_path):
    code = (
        "import importlib, json, pkgutil, srdistill\n"
        "names = [m.name for m in pkgutil.walk_packages(srdistill.__path__, 'srdistill.') if not m.name.endswith('__main__')]\n"
        "files = [importlib.import_module(name).__file__ for name in names]\n"
        "print(json.dumps(files))"
    )
    done = run(clean, tmp_path, clean / "python", "-W", "ignore", "-c", code)
    assert done.returncode == 0, done.stderr
    files = json.loads(done.stdout)
    assert len(files) > 200 and all(file.startswith(str(clean.parent)) for file in files)


def test_every_file_that_is_no_module_is_in_the_wheel_and_the_sdist(wheel, built):
    library = ROOT / "lib"
    there = {
        str(path.relative_to(library))
        for path in (library / "srdistill").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    with zipfile.ZipFile(wheel) as file:
        assert there and there <= set(file.namelist())
    with tarfile.open(next(built.glob("srdistill-*.tar.gz"))) as file:
        held = {name.partition("/")[2] for name in file.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", *(f"lib/{name}" for name in there)} <= held


def test_without_the_extras_commands_work_or_say_what_they_need(clean, tmp_path):
    """``clean`` borrows all of this environment: what the extras bring is hidden from it."""
    code = (
        "import contextlib, io, json, sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in sys.argv[2:]:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
        "from srdistill.__main__ import main\n"
        "said = io.StringIO()\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):\n"
        "    try:\n"
        "        status = main([sys.argv[1], '--help'])\n"
        "    except SystemExit as ended:\n"
        "        status = ended.code\n"
        "print(json.dumps([status, said.getvalue()]))"
    )
    hidden = {module for extra in PROJECT["optional-dependencies"] for module in _asked(extra)} - _asked()
    done = {}
    for command in COMMANDS:
        ran = run(clean, tmp_path, clean / "python", "-W", "ignore", "-c", code, command, *hidden)
        assert ran.returncode == 0, ran.stderr
        done[command] = json.loads(ran.stdout)
    assert done["export"] == done["distill"] == [0, ""]
    for command in ("tables", "plan"):
        status, said = done[command]
        needs = re.fullmatch(rf"error: srdistill {command} needs the module (\w+), which is not here; pip install (.*)\n", said)
        assert status == 2 and needs and needs[1] in hidden, said
        assert needs[2].startswith("'srdistill[notebooks]', or pip install -r requirements.txt")


@pytest.mark.parametrize("module", ["srdistill.nowhere", "asyncio.nowhere"])
def test_a_module_that_no_installation_brings_is_no_advice(module, monkeypatch):
    monkeypatch.setitem(COMMANDS, "plan", (module, ""))
    with pytest.raises(ModuleNotFoundError, match=module):
        main(["plan"])


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_after_the_cell_for_colab_a_notebook_finds_the_printed_numbers(clean, tmp_path):
    """As there: the wheel of the repository, and a kernel in the folder that the cell changes to."""
    origin = tmp_path / "origin"
    shutil.copytree(PUBLISHED, origin / "papers_tables" / "published")
    shutil.copy(ROOT / "pyproject.toml", origin)
    author = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", "-c", "core.hooksPath=none"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run(["git", *author, *words], cwd=origin, check=True)
    cell = with_badge(read_source(ON_COLAB[0]), ON_COLAB[0], "https://github.com/someone/some-study").cells[1].source
    cell = cell.replace("https://github.com/someone/some-study", origin.as_uri()).replace("/content/", f"{tmp_path}/content/")
    fetch, enter, install = re.search(r"```\n(.*)\n```", cell, re.DOTALL)[1].splitlines()
    subprocess.run(fetch.removeprefix("!"), shell=True, check=True, capture_output=True)
    folder = Path(enter.removeprefix("%cd "))
    assert install == "%pip install ." and (folder / "pyproject.toml").is_file()
    code = (
        "import srdistill\n"
        "from srdistill.study.pages.published import published\n"
        "print(srdistill.__file__, len(published('dietz_t1')))"
    )
    done = run(clean, folder, clean / "python", "-W", "ignore", "-c", code)
    assert done.returncode == 0, done.stderr
    file, lines = done.stdout.split()
    assert file.startswith(str(clean.parent)) and int(lines) > 0
    assert "no printed table" in run(clean, tmp_path, clean / "python", "-W", "ignore", "-c", code).stderr


def test_a_set_is_made_outside_a_checkout(clean, tmp_path, pictures):
    from srdistill.sets.distilled_set import png_bytes

    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, image in pictures:
        (folder / f"{name}.png").write_bytes(png_bytes(image))
    done = run(clean, tmp_path, clean / "srdistill", "distill", "--data", "pictures", "--budget", "20%", "--tile", "48")
    assert done.returncode == 0, done.stderr
    assert "at commit not a git c" in (tmp_path / "distilled_pictures" / "card.md").read_text()


def test_what_needs_a_checkout_says_so(clean, tmp_path):
    for command in ("tables", "plan"):
        done = run(clean, tmp_path, clean / "srdistill", command)
        assert done.returncode == 2 and done.stderr.startswith("error: no notebooks in "), done.stderr
        assert "run this in a checkout" in done.stderr


def test_the_command_lists_and_refuses(capsys):
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"  {name} " in said for name in COMMANDS)
    assert main(["destill"]) == 2 and "unknown command 'destill'" in capsys.readouterr().err
    assert main([]) == 2 and "usage: srdistill" in capsys.readouterr().err
    assert main(["--version"]) == 0 and capsys.readouterr().out.startswith("srdistill ")


def test_what_the_library_imports_is_required_and_locked():
    """Lower bounds in pyproject.toml, exact versions of the same in requirements.txt."""
    lines = (line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines())
    locked = {name.lower(): version for name, _, version in (line.partition("==") for line in lines if line)}
    asked = [*PROJECT["dependencies"], *(one for extra in PROJECT["optional-dependencies"].values() for one in extra)]
    for name, least in (one.lower().split(">=") for one in asked):
        assert tuple(map(int, least.split("."))) <= tuple(map(int, locked[name].split(".")[: len(least.split("."))])), name


def test_what_the_library_imports_is_declared():
    imported = {}
    for path in (ROOT / "lib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                names = [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            imported |= {name.partition(".")[0]: str(path) for name in names}
    others = imported.keys() - {"srdistill", *sys.stdlib_module_names}
    assert {"torch", "papermill", "PIL"} <= others
    declared = _asked().union(*(_asked(extra) for extra in PROJECT["optional-dependencies"]))
    assert not {name: imported[name] for name in others if _CALLED.get(name, name) not in declared}


def _asked(extra: str = "") -> set[str]:
    """Names of the distributions that the library requires, or one of its extras."""
    asked = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    return {re.match(r"[\w.-]+", one)[0] for one in asked}
