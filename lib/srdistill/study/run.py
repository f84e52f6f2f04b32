"""Run notebooks headlessly: ``python -m srdistill.study.run``, which ``make tables`` calls.

Parameters are checked against the notebook (papermill only warns of unknown ones), and the plan says what will be computed,
before anything is. One cluster serves the whole run; notebooks run side by side, those with printed seconds last and alone. A
notebook runs in a scratch folder, and its tables and the executed notebook take their places only when all of it succeeded. One
that fails is kept beside as ``.failed.ipynb`` and the next one goes on; the exit status is 1 then.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from filelock import AcquireReturnProxy, FileLock, Timeout

from srdistill import progress
from srdistill.study.compare import Snapshot, said_of
from srdistill.study.engine.cluster import (
    SCHEDULER,
    WORKERS,
    WORKING,
    ClusterError,
    connect,
    default_workers,
    end_tree,
    local_cluster,
)
from srdistill.study.headless import BROKEN, DEAD
from srdistill.study.options import DEFAULTS, UsageError, check_parameters, checked, label_of, parser, resolve
from srdistill.study.overviews.against_print import write_against_print
from srdistill.study.overviews.forest import write_forest
from srdistill.study.overviews.pareto import write_pareto
from srdistill.study.overviews.pareto_classes import write_pareto_classes
from srdistill.study.overviews.pareto_perceptual import write_pareto_perceptual
from srdistill.study.overviews.set_size import write_set_size
from srdistill.study.overviews.twice import write_twice
from srdistill.study.pairs import PAIRED, SourceChanged, read_source, with_outputs, write_notebook
from srdistill.study.paths import BUILD, NOTEBOOKS, ROOT, STAGING, TABLES
from srdistill.study.plan import Plan, make_plan
from srdistill.study.profiles import PROFILES, get_profile
from srdistill.study.run_line import RunLine, in_words
from srdistill.study.verdicts.board import read_claims, table_title, write_board

INTERRUPTED = 130
# Errors after which no other notebook would get any further.
_FATAL = ("DiskError", "ClusterError")
_INTERRUPTED = "interrupted"


@dataclass
class Outcome:
    """Of one notebook: what went wrong, empty if nothing did; the files that it left; whether all the others must fail too."""

    problem: str = ""
    files: list[Path] = field(default_factory=list)
    fatal: str = ""


class Run:
    """Notebooks on their way. ``scheduler``: the address of the cluster that all of them use."""

    def __init__(self, profile: str, parameters: dict, scheduler: str, line: RunLine):
        self.profile, self.parameters, self.scheduler, self.line = profile, parameters, scheduler, line
        self.label = label_of(profile, parameters)
        self.outcomes: dict[str, Outcome] = {}
        self._processes: set[subprocess.Popen] = set()
        # Why nothing else begins: an error that would meet every notebook, or an interruption.
        self._stopped = ""

    def execute(self, names: list[str], at_once: int) -> None:
        """Execute the notebooks, ``at_once`` of them side by side, and keep what became of each."""
        with ThreadPoolExecutor(at_once) as pool:
            try:
                waiting = {pool.submit(self._notebook, name): name for name in names}
                while waiting:
                    # A short wait, or Ctrl-C would wait for the notebook.
                    done, _ = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                    for future in done:
                        self._arrived(waiting.pop(future), future)
            except BaseException:
                self._stopped = _INTERRUPTED
                for process in list(self._processes):
                    end_tree(process.pid)
                raise

    def _arrived(self, name: str, future: Future) -> None:
        outcome = self.outcomes[name] = future.result()
        self.line.notebooks_done += 1
        if outcome.problem:
            self.line.say(f"{name} FAILED: {outcome.problem}")

    def _notebook(self, name: str) -> Outcome:
        if self._stopped:
            return Outcome(f"not run: {self._stopped}")
        try:
            scratch = BUILD / "run" / self.label
            scratch.mkdir(parents=True, exist_ok=True)
            with _alone(scratch / f"{name}.lock", name, self.line):
                outcome = self._execute(name, scratch)
                # Here, as the next notebook begins with the end of this one.
                self._stopped = self._stopped or outcome.fatal
                return outcome
        except OSError as error:
            return Outcome(f"{type(error).__name__}: {error}")

    def _execute(self, name: str, scratch: Path) -> Outcome:
        """In ``scratch``; results move into place if all of it succeeded."""
        staging = scratch / f"{name}.staging"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        source, running = scratch / f"{name}.ipynb", scratch / f"{name}.running.ipynb"
        running.unlink(missing_ok=True)
        write_notebook(read_source(name), source)
        failed = TABLES / self.label / "runs" / f"{name}.failed.ipynb"
        log = scratch / f"{name}.kernel.log"
        error = self._headless(source, running, log, staging)
        if self._stopped == _INTERRUPTED:
            return Outcome(_INTERRUPTED)
        if error:
            return _failed(error, _kept(running, failed), log)
        try:
            files = _into_place(name, self.label, staging, running)
            failed.unlink(missing_ok=True)
            running.unlink()
            # The paired notebook is the plain run of that profile, not one with more seeds or somebody's own pictures.
            problem = _pair(name) if self.label == PAIRED and not self.parameters else ""
        except OSError as error:
            return Outcome(f"its results could not be put into place: {error}")
        return Outcome(problem, files)

    def _headless(self, source: Path, running: Path, log: Path, staging: Path) -> dict:
        """Execute ``source`` in a process of its own; what it says went wrong (see ``headless``)."""
        environment = os.environ | WORKING | {SCHEDULER: self.scheduler, STAGING: str(staging)}
        environment.pop(WORKERS, None)
        given = json.dumps({"profile": self.profile} | self.parameters)
        complaints = log.with_suffix(".errors")
        with open(complaints, "w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "srdistill.study.headless", str(source), str(running), str(log), str(ROOT), given],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True, env=environment,
                start_new_session=True,
            )  # fmt: skip
        self._processes.add(process)
        try:
            if self._stopped == _INTERRUPTED:  # between the look and the start
                end_tree(process.pid)
            said = process.stdout.read()
            process.wait()
            process.stdin.close()
            process.stdout.close()
        finally:
            self._processes.discard(process)
        try:
            return json.loads(said.splitlines()[-1])
        except (ValueError, IndexError):
            last = (complaints.read_text().strip().splitlines() or ["it said nothing"])[-1]
            return {"how": BROKEN, "error": f"its process ended with status {process.returncode}", "message": last}


def _alone(path: Path, name: str, line: RunLine) -> AcquireReturnProxy:
    """A lock so that two runs do not write the same tables; it goes with the process, however that ends."""
    lock = FileLock(path)
    try:
        return lock.acquire(timeout=1)
    except Timeout:
        line.say(f"another run executes {name}; waiting for it")
        return lock.acquire()


def _kept(running: Path, failed: Path) -> Path | None:
    """Where the notebook that failed is: beside the tables, or, where nothing can be written there, where it ran."""
    if not running.exists():
        return None
    try:
        failed.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(running, failed)
    except OSError:
        return running
    return failed


def _failed(error: dict, kept: Path | None, log: Path) -> Outcome:
    where = f"see {kept.relative_to(ROOT)}" if kept else "it left no notebook"
    if error["how"] == DEAD:
        where = f"{where} and {log.relative_to(ROOT)}"
        return Outcome(f"the kernel died (killed, perhaps for lack of memory); finished tasks are kept; {where}")
    fatal = f"{error['error']}: {error['message']}" if error["error"] in _FATAL else ""
    return Outcome(f"{error['error']}: {error['message']}\n  {where}", fatal=fatal)


def _into_place(name: str, label: str, staging: Path, running: Path) -> list[Path]:
    """Move what the notebook wrote; return where it is now."""
    executed, moved = nbformat.read(running, as_version=4), []
    for place in ("input_path", "output_path"):  # folders of this machine, which nobody else has
        executed.metadata.get("papermill", {}).pop(place, None)
    for file in sorted(path for path in staging.rglob("*") if path.is_file()):
        target = TABLES / label / file.relative_to(staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, target)
        moved.append(target)
    shutil.rmtree(staging)
    write_notebook(executed, TABLES / label / "runs" / f"{name}.ipynb")
    return moved


def _pair(name: str) -> str:
    """Write the outputs of the run that is in place beside the notebook's source; what was in the way, empty if nothing was."""
    try:
        paired = with_outputs(name, nbformat.read(TABLES / PAIRED / "runs" / f"{name}.ipynb", as_version=4))
    except SourceChanged as error:
        return f"{error}: its tables are in place, but {name}.ipynb is as it was; run it again: only what changed is computed"
    write_notebook(paired, NOTEBOOKS / f"{name}.ipynb")
    return ""


def _terminate(*_):
    raise KeyboardInterrupt


@contextmanager
def cluster_of_run(workers: int) -> Iterator[str]:
    """The address of the cluster that ``SRDISTILL_SCHEDULER`` names, or of one started here for the block."""
    if os.environ.get(SCHEDULER):
        yield os.environ[SCHEDULER]
        return
    log = BUILD / "run" / f"workers-{os.getpid()}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w") as file, local_cluster(workers, file) as cluster:
        yield cluster.scheduler_address
    log.unlink(missing_ok=True)


def run(names: list[str], profile: str = "", parameters: dict | None = None, workers: int = 0) -> int:
    """Run notebooks and return the exit status: 0, 1 if one failed, 2 if data or weights are missing or the cluster does not
    answer, 130 if interrupted.

    ``workers``: how many processes of one thread to start; 0: ``SRDISTILL_WORKERS``, or one for each physical core.
    """
    parameters = {key: value for key, value in (parameters or {}).items() if key not in DEFAULTS or value not in ("", 0)}
    profile, chosen = get_profile(profile).name, resolve(names)
    for name in chosen:
        check_parameters(name, parameters)
    workers = default_workers(workers)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    start, before = time.monotonic(), Snapshot(TABLES / label_of(profile, parameters))
    try:
        plan = make_plan(chosen, profile, parameters.get("seeds", 0), parameters.get("data", ""))
        print(plan.summary(workers), flush=True)
        if plan.unobtainable:
            print(f"error: {plan.refusal()}", file=sys.stderr)
            return 2
        outcomes = _on_a_cluster(chosen, profile, parameters, plan, workers)
    except KeyboardInterrupt:
        print("interrupted: finished tasks are kept, the same command goes on from there", file=sys.stderr)
        return INTERRUPTED
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    _report(label_of(profile, parameters), {name: outcomes[name] for name in chosen}, before, time.monotonic() - start)
    return 1 if any(outcome.problem for outcome in outcomes.values()) else 0


def _on_a_cluster(chosen: list[str], profile: str, parameters: dict, plan: Plan, workers: int) -> dict[str, Outcome]:
    """Execute the notebooks: side by side, then those with printed seconds one at a time."""
    with cluster_of_run(workers) as address:
        client = connect(address)
        try:
            workers = len(client.nthreads()) or workers
            with RunLine(len(chosen), plan.expected, workers) as line:
                client.subscribe_topic(progress.TOPIC, lambda event: line.hear(event[1]))
                going = Run(profile, parameters, address, line)
                together = [name for name in chosen if name not in plan.timed]
                # While one kernel draws its figures, another has work for the workers.
                going.execute(together, at_once=min(4, 1 + workers // 2))
                going.execute([name for name in chosen if name in plan.timed], at_once=1)
            return going.outcomes
        finally:
            client.close(timeout=2)


def _report(label: str, outcomes: dict[str, Outcome], before: Snapshot, seconds: float) -> None:
    """What this run made, and how it compares with what was there: nothing of earlier runs."""
    problems = {name: outcome.problem for name, outcome in outcomes.items() if outcome.problem}
    files = [file for outcome in outcomes.values() for file in outcome.files]
    if label in PROFILES and label != "smoke" and files:
        try:
            write_against_print(TABLES, label)
            write_forest(TABLES, label)
            write_pareto(TABLES, label)
            write_pareto_classes(TABLES, label)
            write_pareto_perceptual(TABLES, label)
            write_set_size(TABLES, label)
            write_twice(TABLES, label)
            write_board()
        except OSError as error:
            problems["the board of claims"] = f"could not be written: {error}"
    print(f"\n{sum(not o.problem for o in outcomes.values())} of {len(outcomes)} notebooks in {in_words(seconds)}.")
    tables = sorted(file for file in files if file.suffix == ".csv")
    if tables:
        print("Tables:")
    for path in tables:
        print(f"  {path.relative_to(ROOT)}")
    made = {path.stem for path in tables}
    claims = [claim for claim in read_claims(TABLES, label) if claim["table"] in made]
    if claims:
        print("\nBoard of claims:")
    for claim in claims:
        print(f"  {claim['verdict']:<15} {table_title(claim['table'])}: {claim['statement']}")
        print(f"  {'':<15} here {claim['measured']}; in print {claim['in_print']}")
    if tables:
        print(f"\n{said_of(before, tables)}")
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
    """The command line. Errors of usage are said, with status 2; none is raised."""
    options = parser(
        "python -m srdistill.study.run",
        "Execute the notebooks and write papers_tables/. Finished tasks are kept and never recomputed.",
    )
    options.add_argument("-p", "--parameter", action="append", default=[], metavar="NAME=VALUE",
                         help="any other parameter that the notebook declares")  # fmt: skip
    given = options.parse_args(arguments)
    try:
        shared, extra = checked(given), {}
        for item in given.parameter:
            name, equals, value = item.partition("=")
            if not equals:
                raise UsageError(f"-p takes NAME=VALUE, got {item!r}")
            if name in ("profile", *DEFAULTS):
                raise UsageError(f"-p {item}: use --{name} for that")
            extra[name] = _value(value)
        return run(given.notebooks, given.profile, shared | extra, given.workers or 0)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
