"""One notebook, executed: ``python -m srdistill.study.headless``, which the runner starts once for each.

In a process of its own, so that notebooks run side by side, and one that is gone wrong can be ended with all its children. It
says on standard output, in one line of JSON, what went wrong: ``{}`` if nothing did. It ends if its standard input does, which
is when the runner is killed.
"""

import json
import os
import sys
import threading
from pathlib import Path

import papermill
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from srdistill.study.engine.cluster import end_tree

# What went wrong, for the runner: the kernel died, the notebook raised, this machine could not go on.
DEAD, RAISED, BROKEN = "dead", "raised", "broken"


class _KernelManager(AsyncKernelManager):
    """Kernels whose own complaints go to a file: an interrupted one prints tracebacks of its sockets to the terminal."""

    stderr_path: Path

    async def _async_launch_kernel(self, kernel_cmd, **kwargs):
        with open(self.stderr_path, "w") as file:
            await super()._async_launch_kernel(kernel_cmd, **(kwargs | {"stderr": file}))

    _launch_kernel = _async_launch_kernel


class _Engine(NBClientEngine):
    """Papermill's engine with our kernels."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, **kwargs):
        return super().execute_managed_notebook(nb_man, kernel_name, kernel_manager_class=_KernelManager, **kwargs)


def execute(source: str, running: str, log: str, folder: str, parameters: dict) -> dict:
    """Execute ``source`` in ``folder`` and write it to ``running``, cell by cell; return what went wrong, in words."""
    papermill_engines.register("srdistill", _Engine)
    _KernelManager.stderr_path = Path(log)
    try:
        papermill.execute_notebook(
            source, running, parameters=parameters, kernel_name="python3", engine_name="srdistill", progress_bar=False,
            cwd=folder,
        )  # fmt: skip
    except PapermillExecutionError as error:
        return {"how": RAISED, "error": error.ename, "message": error.evalue.strip()}
    except DeadKernelError:
        return {"how": DEAD}
    except OSError as error:
        return {"how": BROKEN, "error": type(error).__name__, "message": str(error)}
    return {}


def _end_with_the_runner() -> None:
    # Not through ``sys.stdin``: its lock would be held while the interpreter ends, which then aborts.
    while os.read(0, 4096):
        pass
    end_tree(os.getpid())


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_runner, daemon=True).start()
    print(json.dumps(execute(*sys.argv[1:5], json.loads(sys.argv[5]))), flush=True)
