"""What a reader should know before the first number: profile, machine, data."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass

import pandas as pd
from pandas.io.formats.style import Styler

from srdistill.study.engine.tasks import Resource, Task
from srdistill.study.provenance import provenance
from srdistill.study.rows import FromCell, Row
from srdistill.study.study import Study
from srdistill.study.words import counted


def readable(frame: pd.DataFrame) -> Styler:
    """The frame as a notebook shows it: whole texts, left-aligned."""
    return frame.style.set_properties(**{"text-align": "left"}).set_table_styles(
        [{"selector": "th", "props": "text-align: left"}]
    )


def describe(study: Study) -> Styler:
    """Profile, pictures, students and machine of this run, one line each."""
    origin = provenance()
    machine, software = origin["machine"], origin["software"]
    lines = {
        "profile": f"{study.profile.name} ({study.profile.where}), {counted(len(study.seeds), 'seed')}",
        **study.about(),
        "machine": f"{machine['processor']}, {counted(machine['threads'], 'thread')} each, {machine.get('gpu', 'no GPU')}",
        "versions": ", ".join(f"{name} {software[name]}" for name in ("python", "torch", "numpy")),
        "commit": software["commit"][:12] + (" with uncommitted changes" if software["uncommitted_code"] else ""),
    }
    return readable(pd.DataFrame({"this run": lines}))


_SIZES = {
    "images": "images", "pixels": "HR pixels", "lossless_bytes": "bytes as PNG",
    "total_bytes": "bytes with labels and decoder",
}  # fmt: skip
ORIGINALS = "training pictures"


def sizes_frame(study: Study, rows: Sequence[Row]) -> pd.DataFrame:
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


def rows_table(rows: Mapping[str, Row]) -> Styler:
    """The rows in words: what makes each set, and with which settings beside those of the plan that all share."""
    lines = {
        label: {"made by": row.method.__name__ if row.method else "all pictures", "settings": _settings(row.settings)}
        for label, row in rows.items()
    }
    return readable(pd.DataFrame(lines).T)


def _settings(settings: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {words}" for name, value in settings.items() if (words := _words(value)))


def _words(value: object) -> str:
    if isinstance(value, Row | Task):
        return f"“{value.label}”"
    if isinstance(value, FromCell):
        return _of_cell(value)
    if isinstance(value, Resource):
        return f"{value.loader.__name__} {_inside({name: given for name, given in value.settings.items() if given})}".rstrip()
    if is_dataclass(value):
        return _inside({f.name: v for f in fields(value) if (v := getattr(value, f.name)) != f.default}) or "as in the plan"
    if isinstance(value, tuple):
        return f"({', '.join(_inside(one) for one in value)})"
    # Not mappings: they are records of what was done before.
    return str(value) if isinstance(value, str | int | float) else ""


def _inside(value: object) -> str:
    """What a setting holds, in words; of a mapping, too."""
    if isinstance(value, Mapping):
        return f"({', '.join(f'{name} {_inside(held)}' for name, held in value.items())})" if value else ""
    return _words(value) or str(value)


def _of_cell(value: FromCell) -> str:
    """Where a setting comes from that a row leaves open: the cell, and what is known of it beforehand."""
    given = ", ".join(f"{name} {words}" for name, found in value.given.items() if (words := _words(found)))
    return f"“{value.name}” of the cell ({given})" if given else f"“{value.name}” of the cell"


def sizes_table(study: Study, rows: Sequence[Row]) -> Styler:
    """The four sizes of the rows' sets as a notebook shows them."""
    return readable(shares(sizes_frame(study, rows))).set_properties(**{"white-space": "nowrap"})
