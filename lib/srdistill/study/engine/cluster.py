"""Workers: those of a Dask cluster that is there, or of one started here; one thread each.

``python -m srdistill.study.engine.cluster N`` is a cluster of this machine: it says its scheduler's address, and ends with its
standard input, so with the process that started it.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from distributed import Client

# Address of a running scheduler, e.g. tcp://host:8786. The runner sets it for the kernels that it starts.
SCHEDULER = "SRDISTILL_SCHEDULER"
# How many workers to start where no scheduler is named; 0 in a notebook: none, the kernel works itself.
WORKERS = "SRDISTILL_WORKERS"
# A worker is one thread, also inside the libraries that read this before they start.
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
# glibc gives large tensors back to the system at once and asks for them anew, page by page, and the next step of training asks
# for the same ones. Kept, they cost nothing: several times faster where new pages are slow, as in some virtual machines.
KEPT_MEMORY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(8 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
}
# The environment of a process that works on tasks.
WORKING = ONE_THREAD | KEPT_MEMORY
_PATIENCE = "10s"


class ClusterError(ConnectionError):
    """The scheduler is not there, or no longer; what is finished is kept."""


def physical_cores() -> int:
    """How many workers keep this machine busy."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(psutil.cpu_count(logical=False) or available, available))


def default_workers(asked: int = 0) -> int:
    """How many workers to start: ``asked``, else what ``SRDISTILL_WORKERS`` says, else one for each physical core, or one where
    a GPU does the work. Raises ValueError for what is no such number."""
    given = os.environ.get(WORKERS) or "0"
    if not given.isdigit():
        raise ValueError(f"{WORKERS} is {given!r}; it must be a number of processes")
    if asked or int(given):
        return asked or int(given)
    from srdistill.study.engine.work import device_kind

    return 1 if device_kind() == "cuda" else physical_cores()


def _configure() -> None:
    import dask

    dask.config.set(
        {
            # Three times killed, a task is named as the killer.
            "distributed.scheduler.allowed-failures": 2,
            "distributed.scheduler.worker-saturation": 1.0,
            # Tasks hold more memory at once than Dask knows of; torch frees it, and a paused worker helps nobody.
            "distributed.worker.memory.target": False,
            "distributed.worker.memory.spill": False,
            "distributed.worker.memory.pause": False,
            "distributed.worker.memory.terminate": False,
            "distributed.nanny.pre-spawn-environ": WORKING,
            "distributed.comm.timeouts.connect": _PATIENCE,
            "distributed.admin.log-length": 100,
        }
    )


@dataclass(frozen=True)
class LocalWorkers:
    """A running cluster of this machine."""

    scheduler_address: str
    process: subprocess.Popen


@contextmanager
def local_cluster(workers: int, log: IO | None = None) -> Iterator[LocalWorkers]:
    """``workers`` processes of one thread on this machine, reachable from this machine only; ended with the block.

    They have a process of their own above them: Ctrl-C in a terminal, or a notebook's interrupted kernel, is then no business
    of theirs, and they end if this process is killed. ``log``: an open file for what they print, by default standard error.

    Raises ClusterError if they do not start.
    """
    heard, told = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, str(workers), str(told)], stdin=subprocess.PIPE, stdout=log or 2, stderr=log or 2,
        pass_fds=(told,), env=os.environ | WORKING, start_new_session=True,
    )  # fmt: skip
    os.close(told)
    try:
        with open(heard) as answer:
            address = answer.read().strip()
        if not address:
            raise ClusterError(f"{workers} workers could not be started on this machine (exit status {process.wait(10)})")
        yield LocalWorkers(address, process)
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            end_tree(process.pid)


def end_tree(pid: int) -> None:
    """Kill a process and all that it has started. What is finished is stored, and unfinished work has its checkpoints."""
    try:
        parent = psutil.Process(pid)
        # From the top, or it would report, or start anew, what ends below it.
        processes = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            pass
    psutil.wait_procs([process for process in processes if process.pid != os.getpid()], timeout=5)


def _serve(workers: int, told: int) -> None:
    """Be the scheduler, and above the workers, until standard input ends; write the address to the descriptor ``told``."""
    from distributed import LocalCluster

    _configure()
    cluster = LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0",
        memory_limit=0, silence_logs="CRITICAL",
    )  # fmt: skip
    with open(told, "w") as answer:
        answer.write(cluster.scheduler_address)
    sys.stdin.read()
    # A running task cannot be cancelled, and closing politely waits for it.
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        if nanny.process is not None and nanny.process.pid:
            end_tree(nanny.process.pid)
    cluster.close(timeout=5)


def connect(address: str) -> "Client":
    """A client of the scheduler at ``address``. Raises ClusterError if there is none, or it has no workers in ten seconds."""
    from distributed import Client

    _configure()
    try:
        client = Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"no scheduler answers at {address} ({type(error).__name__}); start one (dask scheduler), mend {SCHEDULER}, or "
            "unset it to use this machine's own workers"
        ) from error
    try:
        client.wait_for_workers(1, timeout=_PATIENCE)
    except TimeoutError as error:
        client.close()
        raise ClusterError(
            f"the scheduler at {address} has no workers; start some: dask worker {address} --nthreads 1"
        ) from error
    return client


def client_of_environment() -> "Client | None":
    """A client of the scheduler that ``SRDISTILL_SCHEDULER`` names, or of workers started for this process if
    ``SRDISTILL_WORKERS`` asks for some; None: the process works itself."""
    address = os.environ.get(SCHEDULER)
    if address:
        return connect(address)
    if int(os.environ.get(WORKERS) or 0) > 0:
        import atexit
        from contextlib import ExitStack

        stack = ExitStack()
        cluster = stack.enter_context(local_cluster(int(os.environ[WORKERS])))
        atexit.register(stack.close)
        return connect(cluster.scheduler_address)
    return None


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))
