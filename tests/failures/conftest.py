"""Every failure test has its own repository, store and Jupyter folders."""

import contextlib
import os
import signal
from pathlib import Path

import pytest
from tiny_repository import Command, Repository

from srdistill.study import compare, pairs, paths, run
from srdistill.study.engine import cluster
from srdistill.study.verdicts import board

_VARIABLES = tuple(f"SRDISTILL_{name}" for name in (
    "PROFILE", "DATA", "WEIGHTS", "STAGING", "SCHEDULER", "WORKERS", "DEVICE", "STORE",
))  # fmt: skip


@pytest.fixture(scope="session")
def workers():
    """Two workers that tests share: they have no store of their own, and know ``tiny_tasks``."""
    with contextlib.ExitStack() as stack:
        # Theirs alone: this lasts as long as the session, and other tests want the variables.
        with pytest.MonkeyPatch.context() as patch:
            for name in _VARIABLES:
                patch.delenv(name, raising=False)
            patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
            made = stack.enter_context(cluster.local_cluster(2))
        yield made.scheduler_address


@pytest.fixture
def shared(workers, monkeypatch):
    """A run in this process uses these workers."""
    monkeypatch.setenv(cluster.SCHEDULER, workers)


@pytest.fixture(autouse=True)
def own_environment(tmp_path, monkeypatch):
    for name in (*_VARIABLES, "TEST_MARKER"):
        monkeypatch.delenv(name, raising=False)
    for name, folder in {
        "SRDISTILL_STORE": "store",
        "TORCH_HOME": "torch",
        "IPYTHONDIR": "ipython",
        "JUPYTER_RUNTIME_DIR": "runtime",
    }.items():
        (tmp_path / folder).mkdir()
        monkeypatch.setenv(name, str(tmp_path / folder))
    # The runner counts on the interrupt that the terminal sends, and installs a handler for the other.
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Repository:
    """A repository that ``run.main`` works on in this process."""
    made = Repository(tmp_path / "repository")
    for name, value in {
        "ROOT": made.root,
        "NOTEBOOKS": made.notebooks,
        "TABLES": made.tables,
        "BUILD": made.build,
    }.items():
        for module in (run, pairs, paths, compare):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(run, "write_board", lambda: board.write_board(made.tables))
    return made


@pytest.fixture
def command(tmp_path) -> Command:
    return Command(Repository(tmp_path / "repository"))
