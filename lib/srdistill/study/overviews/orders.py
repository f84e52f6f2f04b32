"""Do rows come in the printed order? Pair by pair, which is what a table of methods is read for.

This asks for the sign alone, of means; whether a difference is clear of seeds and test pictures is what the claims say.
"""

from itertools import combinations
from pathlib import Path

import pandas as pd

from srdistill.files import write_text
from srdistill.study.verdicts.board import ORDERS, table_title


def orders(lines: pd.DataFrame) -> pd.DataFrame:
    """From the lines of ``against_print.compared``, for each table, student and quantity: ``pairs`` of rows that differ in
    print, how many of them come in the same order here (``alike``), and the others, as ``turned``: (the better one in print,
    the other, by how much in print, by how much here). Of a row on several test sets the mean counts."""
    found = []
    for (table, network, quantity), group in lines.groupby(["table", "network", "quantity"], sort=False):
        means = group.groupby("row", sort=False)[["printed", "ours"]].mean()
        pairs, turned = 0, []
        for first, second in combinations(means.index, 2):
            printed, ours = means.loc[first] - means.loc[second]
            pairs += printed != 0
            if printed * ours < 0:
                better, other, sign = (first, second, 1) if printed > 0 else (second, first, -1)
                turned.append((better, other, sign * printed, sign * ours))
        if pairs:
            found.append((table, network, quantity, pairs, pairs - len(turned), turned))
    return pd.DataFrame(found, columns=["table", "network", "quantity", "pairs", "alike", "turned"])


def write_orders(lines: pd.DataFrame, root: Path, profile: str) -> Path:
    """``<profile>/ORDERS.md``: how many pairs come in the printed order, and those that do not, the largest first."""
    text = [f"# Orders of rows, `{profile}` profile", "", "[Front page](../README.md)", ""]
    for name, found in orders(lines).groupby("table", sort=False):
        text += [f"## {table_title(name)[:1].upper()}{table_title(name)[1:]}", ""]
        for line in found.itertuples():
            text += [f"{line.network}, {line.quantity}: {line.alike} of {line.pairs} pairs come in the printed order.", ""]
            if line.turned:
                text += ["| better in print | than | in print by | here by |", "| --- | --- | --- | --- |"]
                largest = sorted(line.turned, key=lambda pair: pair[3])
                text += [f"| {better} | {other} | {printed:+.4g} | {ours:+.4g} |" for better, other, printed, ours in largest]
                text += [""]
    path = root / profile / ORDERS
    write_text(path, "\n".join(text))
    return path
