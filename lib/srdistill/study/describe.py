"""What a reader should know before the first number: profile, machine, data."""

import pandas as pd
from pandas.io.formats.style import Styler

from srdistill.distill.distilled_set import DistilledSet, sizes_of
from srdistill.study.provenance import provenance
from srdistill.study.study import Study


def readable(frame: pd.DataFrame) -> Styler:
    """The frame as a notebook shows it: whole texts, left-aligned."""
    return frame.style.set_properties(**{"text-align": "left"}).set_table_styles(
        [{"selector": "th", "props": "text-align: left"}]
    )


def describe(study: Study) -> Styler:
    """Profile, pictures, students and machine of this run, one line each."""
    origin = provenance()
    machine, software = origin["machine"], origin["software"]
    students = ", ".join(
        f"{name} {', '.join(f'{key} {value}' for key, value in sizes.items()) or 'as published'}"
        for name, sizes in study.profile.networks.items()
    )
    lines = {
        "profile": f"{study.profile.name} ({study.profile.where}), {len(study.seeds)} seed(s)",
        "training pictures": f"{study.train.origin}: {len(study.train)} pictures, {study.train.pixels:,} pixels",
        "test pictures": "; ".join(f"{name}: {len(p)}" for name, p in study.tests.items()),
        "students": students,
        "LPIPS": study.lpips_note.split(";")[0],
        "machine": f"{machine['processor']}, {machine['threads']} threads" + f", {machine.get('gpu', 'no GPU')}",
        "versions": ", ".join(f"{name} {software[name]}" for name in ("python", "torch", "numpy")),
        "commit": software["commit"][:12] + (" with uncommitted changes" if software["uncommitted_code"] else ""),
    }
    return readable(pd.DataFrame({"this run": lines}))


def sizes_table(study: Study, sets: dict[str, DistilledSet]) -> Styler:
    """The four sizes of distilled sets (label: set), as numbers and as shares of the training pictures in percent."""
    original = sizes_of(study.train.images)
    lines = {"training pictures": {name: f"{value:,}" for name, value in vars(original).items()}}
    for label, distilled in sets.items():
        sizes = distilled.sizes
        share = sizes.share_of(original)
        lines[label] = {name: f"{value:,} ({share[name]:.2f} %)" for name, value in vars(sizes).items()}
    names = {"pixels": "HR pixels", "lossless_bytes": "bytes as PNG", "total_bytes": "bytes with labels and decoder"}
    return readable(pd.DataFrame(lines).T.rename(columns=names))
