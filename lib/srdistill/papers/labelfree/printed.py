"""The labelfree paper's printed tables, with rows and students called as the study calls them."""

import pandas as pd

from srdistill.study.pages.published import published
from srdistill.study.rows import ORIGINAL

# The paper's ways to a set; rows are these and a number of images.
DISTILLED, RANDOM, SELECTED = "Distilled", "Random patches", "Selected patches"
_STUDENTS = {"RealSR": "RealSR", "RealESRGAN": "Real-ESRGAN", "HiTSR": "HiT-SR"}
_METHODS = {"Ours": DISTILLED, "Our distilled dataset": DISTILLED, "Random Crop": RANDOM, "Threshold Crop Select": SELECTED}


def printed(table: str) -> pd.DataFrame:
    """``row, network, testset, metric, value, std, status``; rows count images: ``"Random patches, 140"``, say.

    Table 1 has method and student in one word; table 2 has one method; table 3 names no student, but its numbers of the
    distilled sets are those of Real-ESRGAN in table 1, digit for digit.
    """
    lines = published(table)
    found = [_row_and_student(table, line.row, line.n_images) for line in lines.itertuples()]
    keys = pd.DataFrame(found, columns=["row", "network"], index=lines.index)
    return pd.concat([keys, lines[["testset", "metric", "value", "std", "status"]]], axis=1)


def _row_and_student(table: str, row: str, images: str) -> tuple[str, str]:
    if table == "labelfree_t1":
        student, _, method = row.replace(" (FULL)", "-").partition("-")
    elif table == "labelfree_t2":
        student, method = row, "Ours"
    else:
        student, method = "RealESRGAN", row
    label = ORIGINAL if images == "FULL" else f"{_METHODS.get(method, method)}, {images}"
    return label, _STUDENTS.get(student, student)
