"""PNG files with a dataset card: the layout of Hugging Face's ``imagefolder`` (YAML head, ``metadata.csv`` with ``file_name``;
documentation of ``datasets``, "Create an image dataset")."""

import csv
import io
import json
from pathlib import Path

from srdistill.files import write_text
from srdistill.sets.distilled_set import DistilledSet

# Hugging Face's own words for how many there are.
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))


def write_pictures(made: DistilledSet, folder: Path, about: dict) -> Path:
    """Images, ``metadata.csv`` and the card. ``about``: ``table``, ``row``, ``seed``, ``use``, ``task`` of the export.

    Images of an earlier export into the same folder are removed.
    """
    made.export(folder, about["use"])
    files = sorted(path.name for path in folder.glob("[0-9][0-9][0-9][0-9][0-9]_*.png"))
    rows = io.StringIO(newline="")
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(("file_name", "label", "source"))
    for name in files:
        label = int(made.labels[int(name[:5])])
        writer.writerow((name, label, made.names[label]))
    write_text(folder / "metadata.csv", rows.getvalue())
    card = folder / "README.md"
    write_text(card, f"{_head(made, about)}\n{card.read_text(encoding='utf-8')}")
    return folder


def _head(made: DistilledSet, about: dict) -> str:
    size = next((words for most, words in _SIZES if len(made) < most), "100K<n<1M")
    name = json.dumps(f"{about['row']}, {about['table']}, seed {about['seed']}")  # a string of YAML, too
    lines = [
        "---", f"pretty_name: {name}", "task_categories:", f"- {about['task']}", "tags:", "- dataset-distillation",
        "size_categories:", f"- {size}", "configs:", "- config_name: default", "  data_files:", '  - "*.png"',
        "  - metadata.csv", "---",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
