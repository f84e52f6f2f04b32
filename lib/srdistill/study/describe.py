"""What a reader should know before the first number: profile, machine, data."""

from collections.abc import Sequence

import pandas as pd
from pandas.io.formats.style import Styler

from srdistill.study.cells import Cells, Row
from srdistill.study.provenance import provenance


def readable(frame: pd.DataFrame) -> Styler:
    """The frame as a notebook shows it: whole texts, left-aligned."""
    return frame.style.set_properties(**{"text-align": "left"}).set_table_styles(
        [{"selector": "th", "props": "text-align: left"}]
    )


def describe(study: Cells) -> Styler:
    """Profile, pictures, students and machine of this run, one line each."""
    origin = provenance()
    machine, software = origin["machine"], origin["software"]
    lines = {
        "profile": f"{study.profile.name} ({study.profile.where}), {len(study.seeds)} seed(s)",
        **study.about(),
        "machine": f"{machine['processor']}, {machine['threads']} threads" + f", {machine.get('gpu', 'no GPU')}",
        "versions": ", ".join(f"{name} {software[name]}" for name in ("python", "torch", "numpy")),
        "commit": software["commit"][:12] + (" with uncommitted changes" if software["uncommitted_code"] else ""),
    }
    return readable(pd.DataFrame({"this run": lines}))


_SIZES = {
    "images": "images", "pixels": "HR pixels", "lossless_bytes": "bytes as PNG",
    "total_bytes": "bytes with labels and decoder",
}  # fmt: skip
ORIGINALS = "training pictures"


def sizes_frame(study: Cells, rows: Sequence[Row]) -> pd.DataFrame:
    """The four sizes of each row's set (seed 0) and of the training pictures; index: labels, columns: ``_SIZES``."""
    found = {ORIGINALS: study.sizes(None)} | {row.label: study.sizes(row) for row in rows if row.method is not None}
    return pd.DataFrame({label: vars(sizes) for label, sizes in found.items()}).T.rename(columns=_SIZES)


def shares(sizes: pd.DataFrame) -> pd.DataFrame:
    """What ``sizes_frame`` gives, as text: numbers, and their shares of the training pictures in percent."""
    percent = 100 * sizes / sizes.loc[ORIGINALS]
    text = {
        column: [
            f"{value:,}" if label == ORIGINALS else f"{value:,} ({share:.2f} %)"
            for label, value, share in zip(sizes.index, sizes[column], percent[column], strict=True)
        ]
        for column in sizes
    }
    return pd.DataFrame(text, index=sizes.index)


def sizes_table(study: Cells, rows: Sequence[Row]) -> Styler:
    """The four sizes of the rows' sets as a notebook shows them."""
    return readable(shares(sizes_frame(study, rows)))
