"""The coreset paper's printed tables, with rows, students and data sets called as the study calls them."""

import pandas as pd

from srdistill.study.classification import AVERAGE
from srdistill.study.pages.published import published

RESNET = "ResNet-18"
RDED, OURS, SRE2L, GVBSM = "RDED", "Ours", "SRe2L", "G-VBSM"
MTT, TESLA, IDM, DATM, DC, DM = "MTT", "Tesla", "IDM", "DATM", "DC", "DM"
_STUDENTS = {"ResNet18": RESNET, "resnet18": RESNET, "alexnet": "AlexNet", "vit": "ViT"}
_DATASETS = {"ImageNette": "imagenette", "ImageWoof": "imagewoof", "Tiny-ImageNet": "tiny-imagenet", "ImageNet-1k": "imagenet",
             "CIFAR10": "cifar10", "CIFAR100": "cifar100"}  # fmt: skip


def printed(table: str) -> pd.DataFrame:
    """``row, network, testset, metric, value, std, status``; rows have their IPC in the name: ``"RDED, IPC 10"``.

    Table 3 has rows by factor, its data set unnamed; table 4 is of ResNet-18 at IPC 1. Tables 5 and 6 are of one picture a
    class; of table 5 only the mean over students is printed, and table 6 is of CIFAR-10.
    """
    lines = published(table)
    across = table in ("coreset_t5", "coreset_t6")
    made = lines.assign(
        row=lines.row if "row" in lines else [f"r = {factor}" for factor in lines.r],
        network=lines.network.replace(_STUDENTS) if "network" in lines else AVERAGE if across else RESNET,
        testset=lines.dataset.map(lambda name: _DATASETS.get(name, name)) if "dataset" in lines else
        "cifar10" if across else "unnamed",
    )  # fmt: skip
    if "ipc" in lines:
        made["row"] = made.row + ", IPC " + lines.ipc.astype(int).astype(str)
    return made[["row", "network", "testset", "metric", "value", "std", "status"]]
