"""A repository of tiny notebooks, and the runner as a command that can be interrupted and killed there."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from time import monotonic, sleep

import nbformat
import psutil

import srdistill
from srdistill.study import paths

HEADER = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---
"""
PARAMETERS = 'profile = ""  # profile\nseeds = 0  # seeds\ndata = ""  # folder\n'
# Writes a table with nothing but the standard library: the kernel is up in a second.
PLAIN = """\
import os
from functools import lru_cache
from pathlib import Path

staging = Path(os.environ["SRDISTILL_STAGING"])
(staging / "{table}.csv").write_text(f"profile,seeds\\n{{profile}},{{seeds}}\\n")
"""
# A real study: half of the rows, a place to be interrupted, all of the rows.
STUDY = """\
from srdistill.papers import dietz
from srdistill.sets.noise import noise
from srdistill.study.pages.presentation import Presentation
from srdistill.study.rows import ORIGINAL, by_label

study = dietz.PAPER.open("dietz_t1", profile=profile, seeds=seeds, data=data)
rows = [study.row(ORIGINAL), study.row("Noise, IPC=1, undistilled", noise, ipc=1)]
study.run(rows[:1], ["SRCNN"])
"""
WAIT = """\
import os
import time
from functools import lru_cache
from pathlib import Path

if "TEST_MARKER" in os.environ:
    Path(os.environ["TEST_MARKER"]).touch()
    time.sleep(60)
"""
SAVE = """\
results = study.run(rows, ["SRCNN"])
print(results.computed, "computed")
Presentation(study, by_label(rows), results).save()
"""


class Repository:
    """A temporary repository with notebooks of its own and the printed tables."""

    def __init__(self, root: Path):
        self.root = root
        self.notebooks, self.tables, self.build = root / "notebooks", root / "papers_tables", root / "build"
        self.notebooks.mkdir(parents=True)
        self.tables.mkdir()
        (self.tables / "published").symlink_to(paths.PUBLISHED)

    def write(self, name: str, *cells: str, parameters: str = PARAMETERS, tags: str = 'tags=["parameters"]') -> None:
        """A notebook with a parameters cell and these code cells."""
        text = HEADER + f"\n# %% {tags}\n{parameters}" + "".join(f"\n# %%\n{cell}" for cell in cells)
        (self.notebooks / f"{name}.py").write_text(text)

    def write_plain(self, name: str, table: str = "") -> None:
        """A notebook that succeeds."""
        self.write(name, PLAIN.format(table=table or name))

    def made(self, label: str = "smoke") -> set[str]:
        """The files of this label, relative to its folder."""
        folder = self.tables / label
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    def executed(self, name: str, label: str = "smoke") -> nbformat.NotebookNode:
        return nbformat.read(self.tables / label / "runs" / f"{name}.ipynb", as_version=4)


@lru_cache
def _library() -> dict[Path, bytes]:
    """The library as it was at first: all commands run one version, whoever edits it meanwhile."""
    root = Path(srdistill.__file__).parent
    files = (path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(root): path.read_bytes() for path in files}


class Command:
    """``python -m srdistill.study.run`` in a repository with a copy of the library."""

    def __init__(self, repository: Repository):
        self.repository = repository
        for path, content in _library().items():
            target = repository.root / "lib" / "srdistill" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)

    def environment(self, **more: str) -> dict[str, str]:
        kept = ("PATH", "HOME", "LANG", "SRDISTILL_STORE", "TORCH_HOME", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR")
        own = {name: os.environ[name] for name in kept if name in os.environ}
        return own | {"PYTHONPATH": str(self.repository.root / "lib")} | {k: str(v) for k, v in more.items()}

    def start(self, *arguments: str, **more: str) -> subprocess.Popen:
        """Started in a process group of its own, as a shell does, and open to Ctrl-C even if these tests are not."""
        return subprocess.Popen(
            [sys.executable, "-m", "srdistill.study.run", *arguments],
            cwd=self.repository.root, env=self.environment(**more), text=True, process_group=0,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess:
        process = self.start(*arguments, **more)
        out, err = process.communicate(timeout=400)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    @contextmanager
    def waiting(self, *arguments: str) -> Iterator[tuple[subprocess.Popen, list[psutil.Process]]]:
        """A run that has got to the place where it waits to be interrupted."""
        marker = self.repository.root / "marker"
        process = self.start(*arguments, TEST_MARKER=marker)
        end = monotonic() + 600  # only a run that hangs takes so long, on however busy a machine
        while not marker.exists() and process.poll() is None and monotonic() < end:
            sleep(0.05)
        assert marker.exists(), process.communicate()
        children = psutil.Process(process.pid).children(recursive=True)
        try:
            yield process, children
        finally:
            for one in (*children, process):
                try:
                    one.kill()
                except psutil.NoSuchProcess:
                    pass
            process.communicate()
            marker.unlink()
