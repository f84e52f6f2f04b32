"""Where a number comes from: commit, machine, versions, data. What changes from run to run stands apart."""

import datetime
import hashlib
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import psutil
import torch

from srdistill.study.paths import ROOT

# What limits the instruction sets of torch and of oneDNN, which torch's convolutions run on.
INSTRUCTION_SETS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")
PACKAGES = ("torch", "torchvision", "numpy", "pillow", "scikit-image", "lpips", "papermill", "distributed")


def provenance() -> dict:
    """``{"software", "machine", "volatile"}``; a test of equality drops ``volatile``."""
    return {
        "software": {"python": platform.python_version(), **_versions(), **_commit()},
        "machine": _machine(),
        "volatile": {
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "peak_memory_mib": round(_peak_memory() / 2**20),
        },
    }


def _versions() -> dict:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _git(*arguments: str) -> str:
    result = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return result.stdout.strip() if result.returncode == 0 else ""


def _commit() -> dict:
    """The commit, and a hash of what differs from it in the code (results do not count as a difference)."""
    code = ("lib", "notebooks/*.py", "requirements.txt")
    difference = _git("diff", "HEAD", "--", *code) + _git("ls-files", "--others", "--exclude-standard", "--", *code)
    return {
        "commit": _git("rev-parse", "HEAD") or "not a git checkout",
        "uncommitted_code": hashlib.sha256(difference.encode()).hexdigest()[:12] if difference else "",
    }


def _machine() -> dict:
    facts = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        # Kernels of different instruction sets round differently: the last bits of a result are those of one kind of machine.
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "pinned": {name: os.environ[name] for name in INSTRUCTION_SETS if name in os.environ},
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": platform.system(),
    }
    if torch.cuda.is_available():
        facts |= {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
    return facts


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _peak_memory() -> int:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
