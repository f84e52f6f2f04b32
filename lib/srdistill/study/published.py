"""The printed numbers: one CSV per table of the three papers, with doubtful and empty cells marked."""

import pandas as pd

from srdistill.study.paths import PUBLISHED
from srdistill.study.study import ORIGINAL

# The labelfree paper's ways to a set; rows are these and a number of images.
DISTILLED, RANDOM, SELECTED = "Distilled", "Random patches", "Selected patches"


def published(table: str) -> pd.DataFrame:
    """The printed table in long format: key columns, ``metric, value, std, status``.

    ``table``: ``dietz_t1``, say. ``status``: ``printed``, ``doubtful`` (read from a damaged source) or ``empty``.
    """
    path = PUBLISHED / f"{table}.csv"
    if not path.exists():
        known = sorted(file.stem for file in PUBLISHED.glob("*.csv"))
        raise ValueError(f"no printed table {table!r}; there are: {', '.join(known)}")
    return pd.read_csv(path)


# The coreset paper's student, its methods, and how its data sets are called in loading.
RESNET = "ResNet-18"
RDED, OURS, SRE2L = "RDED", "Ours", "SRe2L"
_DATASETS = {"ImageNette": "imagenette", "ImageWoof": "imagewoof", "Tiny-ImageNet": "tiny-imagenet", "ImageNet-1k": "imagenet",
             "CIFAR10": "cifar10", "CIFAR100": "cifar100"}  # fmt: skip
# How the labelfree paper's tables name what the study's rows and students are called.
_STUDENTS = {"RealSR": "RealSR", "RealESRGAN": "Real-ESRGAN", "HiTSR": "HiT-SR"}
_METHODS = {"Ours": DISTILLED, "Our distilled dataset": DISTILLED, "Random Crop": RANDOM, "Threshold Crop Select": SELECTED}


def printed_rows(table: str) -> pd.DataFrame:
    """The printed table as the study lays its own out: ``row, network, testset, metric, value, std, status``.

    The coreset paper's rows have their IPC in the name: ``"RDED, IPC 10"``.

    The labelfree paper's tables count images: row ``"Random patches, 140"``, say. Its table 1 has method and student in one
    word; table 2 has one method; table 3 names no student, but its numbers of the distilled sets are those of Real-ESRGAN in
    table 1, digit for digit.
    """
    lines = published(table)
    if table.startswith("coreset"):
        return _coreset(lines)
    if "network" in lines:
        return lines
    found = [_labelfree(table, line.row, line.n_images) for line in lines.itertuples()]
    keys = pd.DataFrame(found, columns=["row", "network"], index=lines.index)
    return pd.concat([keys, lines[["testset", "metric", "value", "std", "status"]]], axis=1)


def _coreset(lines: pd.DataFrame) -> pd.DataFrame:
    """Rows by method and IPC; table 3 by factor, its data set unnamed; table 4 is of ResNet-18 at IPC 1."""
    made = lines.assign(
        row=lines.row if "row" in lines else [f"r = {factor}" for factor in lines.r],
        network=lines.network.replace({"ResNet18": RESNET}) if "network" in lines else RESNET,
        testset=lines.dataset.map(lambda name: _DATASETS.get(name, name)) if "dataset" in lines else "unnamed",
    )
    if "ipc" in lines:
        made["row"] = made.row + ", IPC " + lines.ipc.astype(int).astype(str)
    return made[["row", "network", "testset", "metric", "value", "std", "status"]]


def _labelfree(table: str, row: str, images: str) -> tuple[str, str]:
    """Row and student of a line of the labelfree paper's tables."""
    if table == "labelfree_t1":
        student, _, method = row.replace(" (FULL)", "-").partition("-")
    elif table == "labelfree_t2":
        student, method = row, "Ours"
    else:
        student, method = "RealESRGAN", row
    label = ORIGINAL if images == "FULL" else f"{_METHODS.get(method, method)}, {images}"
    return label, _STUDENTS.get(student, student)


def printed_table(table: str) -> pd.DataFrame:
    """The printed table as the paper lays it out; doubtful numbers carry a question mark."""
    long = published(table)
    keys = [column for column in long if column not in ("testset", "metric", "value", "std", "status")]
    long["text"] = [
        "" if pd.isna(value) else f"{value:g}" + ("" if pd.isna(std) else f" ± {std:g}") + ("?" * (status == "doubtful"))
        for value, std, status in zip(long["value"], long["std"], long["status"], strict=True)
    ]
    columns = [column for column in ("testset", "metric") if column in long]
    if "dataset" in keys:  # the coreset paper's: its methods side by side, or its data sets
        columns = ["row", "network"] if "ipc" in keys else ["dataset"]
        keys = [key for key in keys if key not in columns]
    order = long[keys].drop_duplicates()
    wide = long.pivot(index=keys, columns=columns, values="text").fillna("")
    if "dataset" in long:
        wide = wide[list(dict.fromkeys(long[columns].itertuples(index=False, name=None)))] if len(columns) > 1 else wide
    return wide.reindex(pd.MultiIndex.from_frame(order) if len(keys) > 1 else order[keys[0]])
