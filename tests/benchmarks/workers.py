"""The same tasks with one worker and with two."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from srdistill.study.engine.cluster import connect, local_cluster
from srdistill.study.engine.execution import execute
from srdistill.study.engine.store import Store
from srdistill.study.engine.tasks import Task


def one_and_two(folder: Path, imported: str, tasks: Callable[[Path], Sequence[Task]]) -> dict[int, float]:
    """Seconds by workers, each on a cluster that is up and has ``imported`` the module of the work; what they store is the
    same, bit for bit. ``tasks``: given the folder of a store."""
    seconds, weights = {}, {}
    for workers in (1, 2):
        place = folder / str(workers)
        given, store = tasks(place), Store(place)
        with local_cluster(workers) as cluster, connect(cluster.scheduler_address) as client:
            client.run(__import__, imported)  # what a worker imports once is not what is measured
            start = time.perf_counter()
            execute(given, store, client)
            seconds[workers] = time.perf_counter() - start
        weights[workers] = [store.get(task.kind, task.key).tensors.read_bytes() for task in given]
    assert weights[1] == weights[2]
    return seconds
