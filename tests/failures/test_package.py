"""``pip install .``: the wheel has all that the library reads, works outside a checkout, and has the commands."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from srdistill.__main__ import COMMANDS, main
from srdistill.study.paths import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder, source = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "lib" / "srdistill", source / "lib" / "srdistill", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return next(folder.glob("srdistill-*.whl"))


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


def test_every_file_that_is_no_module_is_in_the_wheel(wheel):
    library = ROOT / "lib"
    there = {
        str(path.relative_to(library))
        for path in (library / "srdistill").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    with zipfile.ZipFile(wheel) as file:
        assert there and there <= set(file.namelist())


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
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines())
    locked = {name.lower(): version for name, _, version in (line.partition("==") for line in lines if line)}
    asked = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    for name, least in (one.lower().split(">=") for one in asked):
        assert tuple(map(int, least.split("."))) <= tuple(map(int, locked[name].split(".")[: len(least.split("."))])), name
