"""Our numbers beside the printed ones: long CSV, Markdown, LaTeX, HTML."""

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from srdistill.study.metrics import GAIN, METRICS, number
from srdistill.study.rows import BICUBIC, ORIGINAL, Results
from srdistill.study.study import Study

# What a printed row shows that this profile leaves out, or that cannot be run at all.
NOT_RUN = "not run here"
# A full-data gain over bicubic below this says that the schedule was too short to divide by it.
_SMALLEST_GAIN_DB = 0.02
_TESTSETS = {"set5": "Set5", "set14": "Set14", "div2k": "DIV2K", "ost300": "OST300", "photos": "photographs",
             "own": "own pictures", "div2k_crops": "DIV2K crops", "imagenette": "ImageNette", "imagewoof": "ImageWoof",
             "tiny-imagenet": "Tiny-ImageNet", "imagenet": "ImageNet-1k", "cifar10": "CIFAR-10", "cifar100": "CIFAR-100",
             "unnamed": "not named"}  # fmt: skip
_SHOWN = ("psnr", "ssim", "lpips_alex", "lpips_vgg", "lpips_squeeze", GAIN, "accuracy")


def testset_title(name: str) -> str:
    """What a test set is called in tables and figures."""
    return _TESTSETS.get(name, name)


def per_seed(study: Study, results: Results) -> pd.DataFrame:
    """Means over the pictures of a test set: ``row, network, seed, testset, metric, value``, recovered gain included."""
    scores = results.scores
    metrics = [name for name in study.metrics if name in scores]
    means = scores.groupby(["row", "network", "seed", "testset"], dropna=False, sort=False)[metrics].mean()
    if "lpips" in metrics:
        means = means.rename(columns={"lpips": f"lpips_{study.profile.lpips}"})
    long = means.reset_index().melt(["row", "network", "seed", "testset"], var_name="metric").dropna(subset="value")
    return pd.concat([long, _recovered_gain(long)], ignore_index=True)


def _recovered_gain(long: pd.DataFrame) -> pd.DataFrame:
    """(x - bicubic) / (full - bicubic) in percent of PSNR, against the full data's mean over seeds."""
    psnr = long[long.metric == "psnr"]
    bicubic = psnr[psnr.row == BICUBIC].set_index("testset")["value"]
    full = psnr[psnr.row == ORIGINAL].groupby(["network", "testset"])["value"].mean()
    lines = []
    for line in psnr[psnr.row != BICUBIC].itertuples():
        whole = full.get((line.network, line.testset), math.nan) - bicubic[line.testset]
        if whole > _SMALLEST_GAIN_DB:
            gain = 100 * (line.value - bicubic[line.testset]) / whole
            lines.append((line.row, line.network, line.seed, line.testset, GAIN, gain))
    return pd.DataFrame(lines, columns=list(long.columns)).astype({"value": float})


def long_table(study: Study, results: Results) -> pd.DataFrame:
    """The table as it is stored: ``row, network, testset, metric, mean, std, n, published, status, note``.

    Every printed number has its line, run here or not; ``n`` counts seeds, ``std`` is over seeds (empty for one). A table that
    compares budgets has ``scale`` and ``budget`` as well, this empty for rows without one.
    """
    values = per_seed(study, results)
    groups = values.groupby(["row", "network", "testset", "metric"], sort=False)["value"]
    ours = groups.agg(mean="mean", std="std", n="count").reset_index()
    printed = study.paper.printed(study.name).rename(columns={"value": "published"}).drop(columns="std")
    both = ours.merge(printed, on=["row", "network", "testset", "metric"], how="outer", sort=False)
    flagged = results.scores[results.scores.collapsed].groupby(["row", "network"]).seed.nunique()
    both["note"] = [
        f"collapsed to bicubic in {flagged[key]} of the seeds" if (key := (row, network)) in flagged.index else ""
        for row, network in zip(both.row, both.network, strict=True)
    ]
    both["n"] = both["n"].fillna(0).astype(int)
    # Rows that are not run here follow in the order of print.
    labels = dict.fromkeys([BICUBIC, *(row.label for row in results.rows), *printed.row])
    order = {label: index for index, label in enumerate(labels)}
    networks = {name: index for index, name in enumerate(["bicubic", *results.networks])}
    both = both.assign(_row=both.row.map(order), _network=both.network.map(networks).fillna(99))
    both = both.sort_values(["_row", "_network"], kind="stable").drop(columns=["_row", "_network"]).reset_index(drop=True)
    budgets = {row.label: row.budget for row in results.rows if row.budget}
    return both.assign(scale=results.scale, budget=both.row.map(budgets).fillna("")) if budgets else both


def read_table(path: Path) -> pd.DataFrame:
    """A stored long table."""
    return pd.read_csv(path, keep_default_na=False, na_values={"mean": [""], "std": [""], "published": [""]})


def wide_table(long: pd.DataFrame, shown: Sequence[str] = ()) -> pd.DataFrame:
    """What a person reads: one line per row and network; ours as mean ± std, the printed numbers beside.

    ``shown``: which metrics of ours (``Table.shown``), empty for the usual ones.
    """
    shown = shown or _SHOWN
    cells: dict[tuple, dict] = {}
    columns: dict[tuple, None] = {}
    for line in long.itertuples():
        key = (line.row, "" if line.network == "bicubic" else line.network)
        here, printed = (testset_title(line.testset), _title(line.metric), "here"), None
        printed = (*here[:2], "printed")
        if line.n and line.metric in shown:
            columns[here] = None
            cells.setdefault(key, {})[here] = _ours(line) + ("†" if line.note else "")
        if not math.isnan(line.published):
            columns[printed] = None
            doubtful = "?" if line.status == "doubtful" else ""
            cells.setdefault(key, {})[printed] = number(line.published, line.metric) + doubtful
    # Measured test sets first; then the papers' order of test sets and metrics, ours left of the printed number.
    measured = {column[0] for column in columns if column[2] == "here"}
    sets, metrics = list(_TESTSETS.values()), [metric.title for metric in METRICS.values()]
    order = sorted(
        columns,
        key=lambda c: (c[0] not in measured, sets.index(c[0]) if c[0] in sets else 99, metrics.index(c[1]), c[2]),
    )
    first = next((column for column in order if column[2] == "here"), None)
    for line in cells.values():
        if first and not any(column[2] == "here" for column in line):
            line[first] = NOT_RUN
    frame = pd.DataFrame.from_dict(cells, orient="index", columns=pd.MultiIndex.from_tuples(order)).fillna("")
    frame.index = pd.MultiIndex.from_tuples(frame.index, names=["training set", "network"])
    return frame


def _title(metric: str) -> str:
    return METRICS[metric].title if metric in METRICS else metric


def _ours(line) -> str:
    text = number(line.mean, line.metric)
    return text if math.isnan(line.std) else f"{text} ± {number(line.std, line.metric)}"


def notes(study: Study, results: Results, long: pd.DataFrame) -> list[str]:
    """What has to stand under the table."""
    lines = study.footnotes(results)
    if (long.note != "").any():
        lines.append("† collapsed: within 0.01 dB of bicubic on every test set, so the number says nothing about the data.")
    lines += _dead_channels(results)
    if (long.status == "doubtful").any():
        lines.append("? printed number read from a damaged source.")
    lines += [f"Differs from the paper in {line}." for line in study.plan.deviations(study.name)]
    return lines + [f"Failed: {failure}" for failure in results.failures]


def _dead_channels(results: Results) -> list[str]:
    """The share of channels that no test picture makes fire: of the student of each kind that has most of them."""
    if "dead" not in results.scores:
        return []
    share = results.scores.dropna(subset="dead").astype({"dead": float}).groupby("network", sort=False).dead.max()
    said = ", ".join(f"{network} {100 * most:.0f} %" for network, most in share.items())
    return [f"Channels that never fire, at most: {said}."] if said else []


def to_markdown(wide: pd.DataFrame) -> str:
    """A Markdown table with one header line."""
    flat = wide.reset_index()
    flat.columns = [" ".join(part for part in column if part).strip() for column in flat.columns]
    return flat.to_markdown(index=False, disable_numparse=True)


def to_latex(wide: pd.DataFrame, caption: str, label: str) -> str:
    """A LaTeX table with booktabs rules."""
    escaped = wide.rename(columns=lambda t: t.replace("%", r"\%"))
    escaped = escaped.map(lambda text: text.replace("±", r"$\pm$").replace("†", r"$\dagger$").replace("%", r"\%"))
    return escaped.style.to_latex(hrules=True, caption=caption, label=f"tab:{label}", multicol_align="c")


def show(wide: pd.DataFrame):
    """The table as a notebook shows it: measured columns plain, printed ones in grey."""
    grey = [column for column in wide.columns if column[2] == "printed"]
    return (
        wide.style.set_properties(**{"text-align": "right", "white-space": "nowrap"})
        .set_properties(subset=grey, **{"color": "#777"})
        .set_table_styles([{"selector": "th", "props": "text-align: left; white-space: nowrap"}])
    )
