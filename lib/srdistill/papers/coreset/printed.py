"""The coreset paper's printed tables, with rows, students and data sets called as the study calls them."""

import pandas as pd

from srdistill.study.pages.published import published

RESNET = "ResNet-18"
RDED, OURS, SRE2L = "RDED", "Ours", "SRe2L"
_DATASETS = {"ImageNette": "imagenette", "ImageWoof": "imagewoof", "Tiny-ImageNet": "tiny-imagenet", "ImageNet-1k": "imagenet",
             "CIFAR10": "cifar10", "CIFAR100": "cifar100"}  # fmt: skip


def printed(table: str) -> pd.DataFrame:
    """``row, network, testset, metric, value, std, status``; rows have their IPC in the name: ``"RDED, IPC 10"``.

    Table 3 has rows by factor, its data set unnamed; table 4 is of ResNet-18 at IPC 1.
    """
    lines = published(table)
    made = lines.assign(
        row=lines.row if "row" in lines else [f"r = {factor}" for factor in lines.r],
        network=lines.network.replace({"ResNet18": RESNET}) if "network" in lines else RESNET,
        testset=lines.dataset.map(lambda name: _DATASETS.get(name, name)) if "dataset" in lines else "unnamed",
    )
    if "ipc" in lines:
        made["row"] = made.row + ", IPC " + lines.ipc.astype(int).astype(str)
    return made[["row", "network", "testset", "metric", "value", "std", "status"]]
