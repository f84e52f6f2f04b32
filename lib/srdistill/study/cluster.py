"""Workers: those of a Dask cluster that is there, or of one started here; one thread each."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

# Address of a running scheduler, e.g. tcp://host:8786. The runner sets it for the kernels that it starts.
SCHEDULER = "SRDISTILL_SCHEDULER"
# How many workers to start where no scheduler is named; 0 in a notebook: none, the kernel works itself.
WORKERS = "SRDISTILL_WORKERS"
# A worker is one thread, also inside the libraries that read this before they start.
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
_PATIENCE = "10s"


class ClusterError(ConnectionError):
    """The scheduler is not there, or no longer; what is finished is kept."""


def physical_cores() -> int:
    """How many workers keep this machine busy."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(psutil.cpu_count(logical=False) or available, available))


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
            "distributed.nanny.pre-spawn-environ": ONE_THREAD | {"MALLOC_TRIM_THRESHOLD_": 65536},
            "distributed.comm.timeouts.connect": _PATIENCE,
            "distributed.admin.log-length": 100,
        }
    )


@contextmanager
def local_cluster(workers: int) -> Iterator["LocalCluster"]:
    """``workers`` processes of one thread on this machine, reachable from this machine only; ended with the block."""
    from distributed import LocalCluster

    _configure()
    cluster = LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0",
        memory_limit=0, silence_logs="CRITICAL",
    )  # fmt: skip
    try:
        yield cluster
    finally:
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
