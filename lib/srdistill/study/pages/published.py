"""The printed numbers: one CSV per table of the three papers, with doubtful and empty cells marked."""

import pandas as pd

from srdistill.study.paths import PUBLISHED


def published(table: str) -> pd.DataFrame:
    """The printed table in long format: key columns, ``metric, value, std, status``.

    ``table``: ``dietz_t1``, say. ``status``: ``printed``, ``doubtful`` (read from a damaged source) or ``empty``.

    Raises ValueError: an unknown table.
    """
    path = PUBLISHED / f"{table}.csv"
    if not path.exists():
        known = sorted(file.stem for file in PUBLISHED.glob("*.csv"))
        raise ValueError(f"no printed table {table!r}; there are: {', '.join(known)}")
    return pd.read_csv(path)


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
