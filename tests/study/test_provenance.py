import json
import subprocess
import sys
from importlib.metadata import version

import pytest

from srdistill.study import provenance as module
from srdistill.study.provenance import provenance


def test_it_names_versions_machine_and_what_is_volatile():
    found = provenance()
    assert found["software"]["torch"] == version("torch")
    assert found["software"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["machine"]["processor"]
    assert found["machine"]["cores"] >= 1
    assert found["machine"]["memory_gib"] >= 1
    assert set(found["volatile"]) == {"finished", "peak_memory_mib"}
    assert found["volatile"]["peak_memory_mib"] > 50


def test_what_is_not_volatile_stays_the_same():
    first, second = provenance(), provenance()
    for found in (first, second):
        found.pop("volatile")
    assert first == second


def test_it_can_be_stored_as_json():
    assert json.loads(json.dumps(provenance()))["software"]


def test_a_missing_package_is_said_to_be_missing(monkeypatch):
    monkeypatch.setattr(module, "PACKAGES", ("no-such-package",))
    assert provenance()["software"]["no-such-package"] == "not installed"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with one commit."""
    root = tmp_path / "checkout"
    (root / "lib").mkdir(parents=True)
    (root / "lib" / "code.py").write_text("x = 1\n")
    (root / "papers_tables").mkdir()
    (root / "papers_tables" / "t.csv").write_text("1\n")
    (root / "requirements.txt").write_text("")
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "first"]):
        author = [
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
            "-c",
            "commit.gpgsign=false",
            "-c",
            "core.hooksPath=none",
        ]
        subprocess.run(["git", *author, *command], cwd=root, check=True, capture_output=True)
    monkeypatch.setattr(module, "ROOT", root)
    return root


def test_the_commit_is_named(checkout):
    software = provenance()["software"]
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True, check=True)
    assert software["commit"] == head.stdout.strip()
    assert software["uncommitted_code"] == ""


def test_changed_code_shows_and_changed_results_do_not(checkout):
    (checkout / "papers_tables" / "t.csv").write_text("2\n")
    assert provenance()["software"]["uncommitted_code"] == ""
    (checkout / "lib" / "code.py").write_text("x = 2\n")
    first = provenance()["software"]["uncommitted_code"]
    (checkout / "lib" / "code.py").write_text("x = 3\n")
    assert "" != first != provenance()["software"]["uncommitted_code"]


def test_a_new_file_of_code_shows_too(checkout):
    (checkout / "lib" / "new.py").write_text("y = 1\n")
    assert provenance()["software"]["uncommitted_code"] != ""


def test_outside_a_checkout_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance()["software"]["commit"] == "not a git checkout"
