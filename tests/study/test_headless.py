"""One notebook in a process of its own: how that process ends."""

import json
import subprocess
import sys
import time

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook


@pytest.fixture
def started(tmp_path):
    """Start the process on one cell of code, its standard input held open."""

    def start(code: str) -> subprocess.Popen:
        notebook = new_notebook(cells=[new_code_cell(code)], metadata={"kernelspec": {"name": "python3", "display_name": "3"}})
        nbformat.write(notebook, tmp_path / "source.ipynb")
        places = (str(tmp_path / name) for name in ("source.ipynb", "running.ipynb", "kernel.errors", ""))
        return subprocess.Popen(
            [sys.executable, "-m", "srdistill.study.headless", *places, "{}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return start


def test_it_ends_without_a_complaint_while_its_standard_input_is_open(started):
    with started("6 * 7") as process:
        assert json.loads(process.stdout.read()) == {}
        complaints = process.stderr.read().decode()
        assert process.wait() == 0 and "Fatal" not in complaints, complaints


def test_it_ends_with_its_standard_input(started, tmp_path):
    with started(f"import pathlib, time\npathlib.Path({str(tmp_path / 'there')!r}).touch()\ntime.sleep(600)") as process:
        until = time.monotonic() + 120
        while not (tmp_path / "there").exists() and time.monotonic() < until:
            time.sleep(0.1)
        assert (tmp_path / "there").exists() and process.poll() is None
        process.stdin.close()
        assert process.wait(timeout=60) != 0
