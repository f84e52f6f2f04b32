"""What is asked of make arrives at the command as it was written, and nothing of it is executed."""

import json
import shutil
import subprocess
import sys

import pytest

from srdistill.study.paths import ROOT

STRANGE = (
    "two words", "it's", 'say "hi"', 'name"; touch x; echo "', "$HOME", "`touch x`", "$(touch x)", "a\\b", "100%", "~x",
    "a & co; #1",
)  # fmt: skip


@pytest.fixture
def asked(tmp_path):
    """Call make with a Python that only says what it was given; that, as a list."""
    tools = tmp_path / "venv" / "bin"
    tools.mkdir(parents=True)
    (tools.parent / ".ready").touch()
    (tools / "python").write_text(f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    (tools / "python").chmod(0o755)

    def ask(*words: str) -> list[str]:
        done = subprocess.run(
            ["make", "-s", "-f", str(ROOT / "Makefile"), f"VENV={tools.parent}", "-o", f"{tools.parent}/.ready", *words],
            cwd=tmp_path, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert not (tmp_path / "x").exists()
        return json.loads(done.stdout)

    return ask


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize("name", STRANGE)
def test_names_of_folders(asked, name):
    assert asked("tables", f"DATA={name}") == ["-m", "srdistill.study.run", "--profile=laptop", f"--data={name}"]
    assert asked("plan", f"DATA={name}")[-1] == f"--data={name}"
    assert asked("export", f"TABLE={name}", f"DATA={name}")[-3:] == [f"--data={name}", "--", name]
    assert asked("export", "TABLE=t", f"TO={name}")[-3:] == [f"--to={name}", "--", "t"]
    assert asked("distill", f"DATA={name}", f"OUT={name}")[2:] == [f"--data={name}", f"--out={name}"]


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_settings_that_were_not_given_are_left_to_the_command(asked):
    assert asked("tables") == ["-m", "srdistill.study.run", "--profile=laptop"]
    assert asked("export", "TABLE=t") == ["-m", "srdistill.study.export", "--profile=laptop", "--", "t"]
    given = asked("export", "TABLE=t", "ROW=r", "SEED=0", "TO=there", "FORMAT=mosaics")
    assert given[3:] == ["--row=r", "--format=mosaics", "--seed=0", "--to=there", "--", "t"]
    given = asked("plan", "PROFILE=gpu", "SEEDS=0", "WORKERS=4")
    assert given == ["-m", "srdistill.study.plan", "--profile=gpu", "--seeds=0", "--workers=4"]
