"""Run notebooks headlessly: ``python -m srdistill.study.run``, which ``make tables`` calls.

Parameters are checked against the notebook (papermill only warns of unknown ones), the notebook runs in a scratch
folder, and tables and the executed notebook take their places only when all of it succeeded. A notebook that fails is
kept beside as ``.failed.ipynb`` and the next one goes on; the exit status is 1 then.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import nbformat
import papermill
from filelock import AcquireReturnProxy, FileLock, Timeout
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm

from srdistill.progress import PROGRESS_FILE
from srdistill.study.board import read_claims, table_title, write_board
from srdistill.study.pairs import notebook_names, read_source, with_outputs, write_notebook
from srdistill.study.paths import BUILD, NOTEBOOKS, ROOT, STAGING, TABLES
from srdistill.study.profiles import PROFILES, get_profile

INTERRUPTED = 130
# Every notebook has these; at 0 and "" they leave the choice to the profile.
DEFAULTS = ("seeds", "data")


class UsageError(ValueError):
    """A wrong notebook, profile or parameter name; the message lists the right ones."""


class _KernelManager(AsyncKernelManager):
    """Kernels whose own complaints go to a file: an interrupted one prints tracebacks of its sockets to the terminal."""

    stderr_path: Path = BUILD / "kernel.log"

    async def _async_launch_kernel(self, kernel_cmd, **kwargs):
        self.stderr_path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.stderr_path, "w") as file:
            await super()._async_launch_kernel(kernel_cmd, **(kwargs | {"stderr": file}))

    _launch_kernel = _async_launch_kernel


class _Engine(NBClientEngine):
    """Papermill's engine, telling the runner's line of every finished cell."""

    line: tqdm | None = None

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, **kwargs):
        complete = nb_man.cell_complete

        def cell_complete(cell, *arguments, **options):
            complete(cell, *arguments, **options)
            if cls.line is not None and cell.cell_type == "code":
                cls.line.update()

        nb_man.cell_complete = cell_complete
        return super().execute_managed_notebook(nb_man, kernel_name, kernel_manager_class=_KernelManager, **kwargs)


def check_parameters(name: str, parameters: dict) -> None:
    """Raise UsageError unless the notebook declares every parameter."""
    notebook = read_source(name)
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise UsageError(f"{name}: needs exactly one cell tagged 'parameters', has {len(cells)}")
    declared = {line.split("=")[0].strip() for line in cells[0].source.splitlines() if "=" in line.split("#")[0]}
    unknown = sorted(set(parameters) - declared)
    if unknown:
        raise UsageError(f"{name}: unknown parameter {unknown[0]!r}; it has: {', '.join(sorted(declared))}")


def resolve(names: list[str]) -> list[str]:
    """The notebooks asked for, all of them if none is; ``02`` is enough for ``02_downscaled_init``."""
    known = notebook_names()
    chosen = []
    for name in names or known:
        matches = [k for k in known if k == name or k.split("_")[0] == name]
        if not matches:
            raise UsageError(f"unknown notebook {name!r}; there are: {', '.join(known)}")
        chosen += matches
    return chosen


def run_notebook(name: str, profile: str, parameters: dict, line: tqdm) -> str | None:
    """Execute one notebook and move what it made into place. Returns None, or what went wrong."""
    label = profile if not parameters.get("data") else f"own-{Path(parameters['data']).name}"
    scratch = BUILD / "run" / label
    scratch.mkdir(parents=True, exist_ok=True)
    with _alone(scratch / f"{name}.lock", name):
        staging = scratch / f"{name}.staging"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        source, running = scratch / f"{name}.ipynb", scratch / f"{name}.running.ipynb"
        write_notebook(read_source(name), source)
        failed = TABLES / label / "runs" / f"{name}.failed.ipynb"
        failed.unlink(missing_ok=True)
        os.environ[STAGING] = str(staging)
        _KernelManager.stderr_path = scratch / f"{name}.kernel.log"
        try:
            papermill.execute_notebook(
                str(source), str(running), parameters={"profile": profile} | parameters, kernel_name="python3",
                engine_name="srdistill", progress_bar=False, cwd=str(ROOT),
            )  # fmt: skip
            executed = nbformat.read(running, as_version=4)
        except (PapermillExecutionError, DeadKernelError) as error:
            failed.parent.mkdir(parents=True, exist_ok=True)
            if running.exists():
                os.replace(running, failed)
            return _reason(error, failed)
        except OSError as error:
            return f"{type(error).__name__}: {error}"
        finally:
            os.environ.pop(STAGING, None)
        try:
            _into_place(name, label, staging, executed, parameters)
        except OSError as error:
            return f"its results could not be put into place: {error}"
        running.unlink()
    return None


def _reason(error: Exception, failed: Path) -> str:
    where = f"see {failed.relative_to(ROOT)}" if failed.exists() else "it left no notebook"
    if isinstance(error, DeadKernelError):
        said = _KernelManager.stderr_path.relative_to(ROOT)
        return f"the kernel died (killed, perhaps for lack of memory); finished cells are kept; {where} and {said}"
    return f"{error.ename}: {error.evalue.strip()}\n  {where}"


def _alone(path: Path, name: str) -> AcquireReturnProxy:
    """A lock so that two runs do not write the same tables; it goes with the process, however that ends."""
    lock = FileLock(path)
    try:
        return lock.acquire(timeout=1)
    except Timeout:
        print(f"\nanother run executes {name}; waiting for it", flush=True)
        return lock.acquire()


def _into_place(name: str, label: str, staging: Path, executed: nbformat.NotebookNode, parameters: dict) -> None:
    for file in sorted(path for path in staging.rglob("*") if path.is_file()):
        target = TABLES / label / file.relative_to(staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, target)
    shutil.rmtree(staging)
    write_notebook(executed, TABLES / label / "runs" / f"{name}.ipynb")
    # The paired notebook is the plain laptop run, not one with more seeds or somebody's own pictures.
    if label == "laptop" and not parameters:
        write_notebook(with_outputs(name, executed), NOTEBOOKS / f"{name}.ipynb")


def _watch(path: Path, line: tqdm, pause: float, stop: threading.Event) -> None:
    """Copy what a long cell says of itself into the overall line."""
    while not stop.wait(pause):
        try:
            state = json.loads(path.read_text())
            line.set_postfix_str(f"{state['label']} {state['done']}/{state['total']}")
        except (OSError, ValueError, KeyError):
            pass  # not there yet, or half written: the next look will do


def _terminate(*_):
    raise KeyboardInterrupt


def run(names: list[str], profile: str = "", parameters: dict | None = None) -> int:
    """Run notebooks and return the exit status: 0, 1 if one failed, 130 if interrupted."""
    parameters = {key: value for key, value in (parameters or {}).items() if key not in DEFAULTS or value not in ("", 0)}
    profile = get_profile(profile).name
    chosen = resolve(names)
    for name in chosen:
        check_parameters(name, parameters)
    if papermill_engines._engines.get("srdistill") is None:
        papermill_engines.register("srdistill", _Engine)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    progress = BUILD / "run" / f"progress-{os.getpid()}.json"
    progress.parent.mkdir(parents=True, exist_ok=True)
    os.environ[PROGRESS_FILE] = str(progress)
    counts = {name: sum(cell.cell_type == "code" for cell in read_source(name).cells) for name in chosen}
    problems, start = {}, time.monotonic()
    stop = threading.Event()
    # +1 a notebook: papermill injects a cell with the parameters.
    # Into a file or a CI log, a line now and then; on a terminal, twice a second.
    pause = 0.5 if sys.stderr.isatty() else 60.0
    line = tqdm(total=sum(counts.values()) + len(chosen), unit="cell", dynamic_ncols=True, mininterval=pause,
                bar_format="{desc} {percentage:3.0f}%|{bar:20}| {elapsed} {postfix}")  # fmt: skip
    _Engine.line = line
    watcher = threading.Thread(target=_watch, args=(progress, line, pause, stop), daemon=True)
    watcher.start()
    interrupted = False
    try:
        for index, name in enumerate(chosen):
            line.set_description_str(f"[{index + 1}/{len(chosen)}] {name}", refresh=sys.stderr.isatty())
            line.n = sum(counts[n] + 1 for n in chosen[:index])
            problem = run_notebook(name, profile, parameters, line)
            if problem:
                problems[name] = problem
                tqdm.write(f"{name} FAILED: {problem}")
        line.n = line.total
    except KeyboardInterrupt:
        interrupted = True
    finally:
        stop.set()
        watcher.join()
        line.close()
        _Engine.line = None
        progress.unlink(missing_ok=True)
        os.environ.pop(PROGRESS_FILE, None)
    if interrupted:
        print("interrupted: finished cells are kept, the same command goes on from there", file=sys.stderr)
        return INTERRUPTED
    _report(profile, parameters, chosen, problems, time.monotonic() - start)
    return 1 if problems else 0


def _report(profile: str, parameters: dict, chosen: list[str], problems: dict[str, str], seconds: float) -> None:
    label = profile if not parameters.get("data") else f"own-{Path(parameters['data']).name}"
    if label in PROFILES and label != "smoke":
        write_board()
    print(f"\n{len(chosen) - len(problems)} of {len(chosen)} notebooks in {seconds / 60:.1f} minutes. Tables:")
    for path in sorted((TABLES / label).glob("*.csv")):
        print(f"  {path.relative_to(ROOT)}")
    claims = read_claims(TABLES, label)
    if claims:
        print("\nBoard of claims:")
    for claim in claims:
        print(f"  {claim['verdict']:<15} {table_title(claim['table'])}: {claim['statement']}")
        print(f"  {'':<15} here {claim['measured']}; in print {claim['in_print']}")
    for name, problem in problems.items():
        print(f"\nFAILED {name}: {problem}")


def _value(text: str):
    """The literal after ``-p name=``: a number where it is one, else a string."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m srdistill.study.run",
        description="Execute the notebooks and write papers_tables/. Finished cells are kept and never recomputed.",
    )
    parser.add_argument("notebooks", nargs="*", help="e.g. 02_downscaled_init, or 02; all of them if none is named")
    parser.add_argument("--profile", default="", help=f"one of {', '.join(PROFILES)} (default: laptop)")
    parser.add_argument("--seeds", type=int, default=0, help="number of seeds (default: the profile's)")
    parser.add_argument("--data", default="", help="a folder of your own training pictures, tests in its subfolder test")
    parser.add_argument("-p", "--parameter", action="append", default=[], metavar="NAME=VALUE",
                        help="any other parameter that the notebook declares")  # fmt: skip
    given = parser.parse_args(arguments)
    try:
        if given.seeds < 0:
            raise UsageError(f"--seeds must be 1 or more, got {given.seeds}")
        extra = {}
        for item in given.parameter:
            name, equals, value = item.partition("=")
            if not equals:
                raise UsageError(f"-p takes NAME=VALUE, got {item!r}")
            if name in ("profile", *DEFAULTS):
                raise UsageError(f"-p {item}: use --{name} for that")
            extra[name] = _value(value)
        data = str(Path(given.data).expanduser().resolve()) if given.data else ""
        if data and not Path(data).is_dir():
            raise UsageError(f"--data: {given.data} is not a folder")
        return run(given.notebooks, given.profile, {"seeds": given.seeds, "data": data} | extra)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
