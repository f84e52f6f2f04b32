"""What is run for the tables beyond the papers: full data as strong as it can be, what is chosen or shrunk, and ours."""

from collections.abc import Callable
from dataclasses import replace

from srdistill.catalogue.collections import collection_needs
from srdistill.papers.beyond.labels import (
    BOTH,
    BY_BYTES,
    COVERAGE,
    CROPS,
    DCSR,
    FACTORS,
    FULL_BOTH,
    FULL_HARD,
    FULL_SCALES,
    GRADIENTS,
    HARDEST,
    HERDED,
    LARGER,
    LIKE,
    MORE,
    MOSER,
    OTHERS,
    OTHERWISE,
    PROXIES,
    REFINED,
    SHAPED,
    SHRUNK,
    SMALLER,
    SQUARES,
    TAUGHT,
    TEACHER,
    UNSEEN,
    WITHOUT,
)
from srdistill.papers.beyond.selecting.dcsr import dcsr
from srdistill.papers.beyond.selecting.hard_windows import hard_data
from srdistill.papers.beyond.selecting.hardest_tiles import hardest_tiles
from srdistill.papers.beyond.selecting.herded import herded
from srdistill.papers.beyond.selecting.moser_trimmed import moser_trimmed
from srdistill.papers.beyond.selecting.priced import lossless_bytes, priced
from srdistill.papers.beyond.selecting.pyramid_coverage import pyramid_coverage
from srdistill.papers.beyond.selecting.random_like import random_like
from srdistill.papers.beyond.selecting.random_tiles import random_tiles
from srdistill.papers.beyond.shaping.filtered import filtered
from srdistill.papers.beyond.shaping.refined import refined
from srdistill.papers.beyond.shaping.shaped import shaped
from srdistill.papers.beyond.shaping.taught import taught
from srdistill.papers.beyond.study import BeyondStudy
from srdistill.rehearsing import rehearsing
from srdistill.study.engine.tasks import Task
from srdistill.study.paper import Table
from srdistill.study.rows import ORIGINAL, Row

_COPIES = (0.7, 0.5, 0.35)
_HARD_SHARE = 0.1
_GENEROUS = 6
_PRICED = (CROPS, SMALLER, COVERAGE, BY_BYTES)


def _full(study: BeyondStudy) -> list[Row]:
    """Training on everything, as it is and as strong as it can be."""
    side, scale = study.plan.tile, study.table.scale
    hard = {"share": _HARD_SHARE, "size": side, "scale": scale}
    return [
        study.row(ORIGINAL),
        study.row(FULL_HARD, None, pictures=hard_data(study.real(), **hard)),
        study.at_scales(FULL_SCALES, _COPIES),
        study.row(FULL_BOTH, None, pictures=hard_data(study.real(), **hard, scales=_COPIES)),
    ]


def _strongest_full(study: BeyondStudy) -> list[Row]:
    """Full data as it trains the students best that settings are chosen with, on pictures that are held out."""
    return [row for row in _full(study) if row.label == FULL_SCALES]


def _longer(study: BeyondStudy, *rows: Row) -> list[Row]:
    """The same rows for more steps."""
    times = study.plan.longer
    return [replace(row, label=f"{row.label}, {times} x steps", longer=times) for row in rows]


def _in_budget(study: BeyondStudy, budget: float, sign: str = "") -> dict[str, Row]:
    """All sets of so many pixels by their plain names; ``sign``: what their labels end with."""
    plan, scale = study.plan, study.table.scale
    chosen = {"budget": budget, "scale": scale, "tile": plan.tile}
    small, grid = {"budget": budget, "size": plan.small}, {"stride": plan.coverage.stride}

    def row(name: str, method: Callable, **settings) -> Row:
        return replace(study.row(f"{name}{sign}", method, **settings), budget=f"{100 * budget:g} %")

    coverage = row(COVERAGE, pyramid_coverage, **chosen, settings=plan.coverage)
    judge = study.student(study.row(ORIGINAL), PROXIES[0], seed=0)
    rows = {
        CROPS: row(CROPS, random_tiles, **chosen, mix={"1": 1}),
        LIKE: row(LIKE, random_like, **chosen, like=coverage),
        HARDEST: row(HARDEST, hardest_tiles, **chosen, **grid),
        MOSER: row(MOSER, moser_trimmed, **chosen, network=judge),
        DCSR: row(DCSR, dcsr, **chosen, **grid),
        LARGER: row(LARGER, shaped, budget=budget, size=plan.tile),
        SMALLER: row(SMALLER, shaped, **small),
        SHAPED: row(SHAPED, shaped, **small, match=1.0),
        SQUARES: row(SQUARES, shaped, **small, factors=FACTORS),
        HERDED: row(HERDED, herded, **small, scale=scale, networks=_judges(study)),
        COVERAGE: coverage,
    }
    rows[BY_BYTES] = row(BY_BYTES, pyramid_coverage, **chosen, settings=plan.coverage, cost=lossless_bytes)
    return rows


def _other_ways(study: BeyondStudy) -> list[Row]:
    """The candidates without one of their parts each, or with another in its place."""
    plan, budget = study.plan, study.plan.budget
    ours = _in_budget(study, budget)
    coverage = ours[COVERAGE]

    def changed(label: str, like: Row, **changes) -> Row:
        return replace(like, label=label, settings={**like.settings, **changes})

    return [
        *(
            changed(f"{COVERAGE}, {what}", coverage, settings=replace(plan.coverage, **changes))
            for what, changes in ({f"without {part}": less for part, less in WITHOUT.items()} | OTHERWISE).items()
        ),
        changed(GRADIENTS, coverage, networks=_judges(study)),
        replace(study.row(BOTH, filtered, source=coverage), budget=coverage.budget),
        *(changed(f"{SMALLER}, {how}", ours[SMALLER], **changes) for how, changes in SHRUNK.items()),
        changed(f"{HERDED}, of squares", ours[HERDED], factors=FACTORS),
    ]


def _judges(study: BeyondStudy) -> list[Task]:
    """What shrunken pictures made of the students that settings are chosen with, whatever the table and its budgets."""
    smaller = study.row(SMALLER, shaped, budget=study.plan.budget, size=study.plan.small)
    return [study.student(smaller, name, seed=0) for name in PROXIES]


def table_1(study: BeyondStudy) -> list[Row]:
    """Everything, at one budget of pixels; the strongest for more steps as well."""
    rows, full = _in_budget(study, study.plan.budget), {row.label: row for row in _full(study)}
    longer = _longer(study, full[FULL_SCALES], rows[SMALLER])
    return [*full.values(), *(row for name, row in rows.items() if name != BY_BYTES), *longer]


def table_2(study: BeyondStudy) -> list[Row]:
    """The strongest, at other budgets."""
    return _strongest_full(study) + [
        rows[name]
        for budget in study.plan.budgets
        for rows in [_in_budget(study, budget, f", {100 * budget:g} %")]
        for name in study.plan.compared
    ]


def table_3_and_4(study: BeyondStudy) -> list[Row]:
    """The strongest, at one budget: at twice the scale, and for other students."""
    rows = _in_budget(study, study.plan.budget)
    return _strongest_full(study) + [rows[name] for name in study.plan.compared]


def table_5(study: BeyondStudy) -> list[Row]:
    """As many bytes as shrunken pictures take without loss, for every set without loss and with a little of it."""
    budget, scale = study.plan.budget, study.table.scale
    like = _in_budget(study, budget)[SMALLER]
    # Coded with loss, an image takes a fifth of its bytes at least.
    sources = _in_budget(study, min(1.0, _GENEROUS * budget))
    return _strongest_full(study) + [
        replace(
            study.row(f"{name}, {how}", priced, source=sources[name], like=like, scale=scale, share=share,
                      ordered=name in (COVERAGE, BY_BYTES)),
            budget=f"bytes of {100 * budget:g} %",
        )
        for name in _PRICED
        for how, share in (("lossless", 0.0), ("coded", study.plan.share))
    ]  # fmt: skip


def table_6(study: BeyondStudy) -> list[Row]:
    """What each part of a candidate does, beside the candidates themselves."""
    rows = _in_budget(study, study.plan.budget)
    ours = [rows[name] for name in (SMALLER, SQUARES, HERDED, COVERAGE)]
    return _strongest_full(study) + ours + (_other_ways(study) if study.plan.ways else [])


def table_7(study: BeyondStudy) -> list[Row]:
    """What more can be done with as many pixels than to choose them; and more pixels."""
    plan, scale, (full,) = study.plan, study.table.scale, _strongest_full(study)
    rows = _in_budget(study, plan.budget)
    teacher = study.student(full, TEACHER, seed=0)

    def changed(label: str, like: str, method: Callable, **settings) -> Row:
        made = study.row(label, method, source=rows[like], scale=scale, **settings)
        return replace(made, budget=rows[like].budget)

    return [
        full, rows[SMALLER], rows[HERDED],
        changed(REFINED, HERDED, refined, networks=_judges(study), refining=plan.refining),
        changed(TAUGHT, SMALLER, taught, teacher=teacher),
        replace(_in_budget(study, plan.most)[SMALLER], label=MORE),
    ]  # fmt: skip


def table_8(study: BeyondStudy) -> list[Row]:
    """All that full data can be, and shrunken pictures, for more steps."""
    shrunken = _in_budget(study, study.plan.budget)[SMALLER]
    full = [row for row in _full(study) if row.label != FULL_BOTH]
    return [*_strongest_full(study), shrunken, *_longer(study, *full, shrunken)]


def table_9(study: BeyondStudy) -> list[Row]:
    """Shrunken pictures at twice the scale, for other architectures; larger ones, which table 3 has ahead there."""
    return [*_strongest_full(study), _in_budget(study, study.plan.budget)[LARGER]]


def table_10(study: BeyondStudy) -> list[Row]:
    """The smallest budget, for other architectures."""
    least = min(study.plan.budgets)
    return [*_strongest_full(study), _in_budget(study, least, f", {100 * least:g} %")[SMALLER]]


def table_11(study: BeyondStudy) -> list[Row]:
    """Every draw of two sets with every training: rows of one draw each."""
    rows = _in_budget(study, study.plan.budget)
    return [
        replace(study.row(f"{name}, draw {draw}", None, pictures=study.set_task(rows[name], draw)), budget=rows[name].budget)
        for name in (SMALLER, HERDED)
        for draw in study.seeds
    ]


def table_12(study: BeyondStudy) -> list[Row]:
    """Clean pictures: the training pictures of all other tables were JPEG files once. No rows where they are not at hand, and
    nobody offers them."""
    if not rehearsing() and not all(need.found or need.fetched for need in collection_needs(study.plan.clean)):
        return []
    rows = _in_budget(study, study.plan.most)
    return [study.row(ORIGINAL), *_strongest_full(study), rows[CROPS], rows[LARGER], rows[SMALLER]]


_NOTEBOOK, _FURTHER = "12_beyond", "13_further"
TABLES = (
    Table("beyond_t1", "Beyond, table 1: the best set of a budget of pixels, ×2", _NOTEBOOK, table_1, PROXIES),
    Table("beyond_t2", "Beyond, table 2: other budgets, ×2", _NOTEBOOK, table_2, PROXIES),
    Table("beyond_t3", "Beyond, table 3: the same at ×4", _NOTEBOOK, table_3_and_4, PROXIES, scale=4),
    Table("beyond_t4", "Beyond, table 4: students that nothing was chosen with, ×2", _NOTEBOOK, table_3_and_4, UNSEEN),
    Table("beyond_t5", "Beyond, table 5: equal bytes, ×2", _NOTEBOOK, table_5, PROXIES[1:]),
    Table("beyond_t6", "Beyond, table 6: what each part does, ×2", _NOTEBOOK, table_6, PROXIES[1:]),
    Table("beyond_t7", "Beyond, table 7: refined, taught, more of them, ×2", _FURTHER, table_7, (PROXIES[1], UNSEEN[0])),
    Table("beyond_t8", "Beyond, table 8: more steps, ×2", _FURTHER, table_8, PROXIES[1:]),
    Table("beyond_t9", "Beyond, table 9: other architectures at ×4", _FURTHER, table_9, OTHERS, scale=4),
    Table("beyond_t10", "Beyond, table 10: other architectures, the smallest budget, ×2", _FURTHER, table_10, OTHERS),
    Table("beyond_t11", "Beyond, table 11: every draw with every training, ×2", _FURTHER, table_11, PROXIES[1:]),
    Table("beyond_t12", "Beyond, table 12: clean pictures, ×2", _FURTHER, table_12, PROXIES[1:]),
)
