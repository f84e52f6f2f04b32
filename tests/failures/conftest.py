"""Every failure test has its own repository, store and Jupyter folders."""

import signal

import pytest
from tiny_repository import Command, Repository

from srdistill.study import board, pairs, paths, run


@pytest.fixture(autouse=True)
def own_environment(tmp_path, monkeypatch):
    for name in ("SRDISTILL_PROFILE", "SRDISTILL_DATA", "SRDISTILL_WEIGHTS", "SRDISTILL_STAGING", "TEST_MARKER"):
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
        for module in (run, pairs, paths):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(run, "write_board", lambda: board.write_board(made.tables))
    return made


@pytest.fixture
def command(tmp_path) -> Command:
    return Command(Repository(tmp_path / "repository"))
