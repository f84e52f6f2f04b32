"""How the optimisers and rates of the plan are chosen: ``python -m srdistill.papers.dietz.choose_rates --profile laptop``.

One rule for every start: of the settings of a small fixed grid, at the plan's number of iterations, the one after which the
sets are nearest to the real pictures by gradients, on networks that matching never saw (``held_out``); within one percent of
the nearest, the one that moves the images least. Training pictures alone are looked at, and no student is trained.

It prints a table; what it chooses is then written into ``plan`` by hand, beside the distances.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from srdistill.papers.dietz.gradient_matching import gradient_matching
from srdistill.papers.dietz.latent_matching import latent_matching
from srdistill.papers.dietz.settings import Rate
from srdistill.papers.dietz.steps import distance_table, distance_task
from srdistill.papers.dietz.tables import inverting, latent, matching, pretrained
from srdistill.priors.inversion import gan_inversion
from srdistill.study.rows import Row
from srdistill.study.sr import SRStudy

GRID = (
    Rate("sgd", 0.1), Rate("sgd", 1.0), Rate("sgd", 10.0), Rate("adam", 0.001), Rate("adam", 0.003), Rate("adam", 0.01),
)  # fmt: skip
STARTS = ("downscaled", "noise", "trained", "latent")
# As good as the best.
_TIE = 0.01


def rows_of(study: SRStudy, start: str, grid: Sequence[Rate] = GRID) -> Iterator[tuple[Rate, Row]]:
    """A row for each setting of the grid."""
    for rate in grid:
        given, label = {"optimizer": rate.optimizer, "lr": rate.lr}, f"{start}, {rate}"
        if start == "latent":
            begin = study.row("inverted", gan_inversion, **inverting(study, "published"))
            yield rate, study.row(label, latent_matching, **latent(study, begin, pretrained(study), **given))
        else:
            network = pretrained(study) if start == "trained" else None
            begin = "downscaled" if start == "trained" else start
            yield rate, study.row(label, gradient_matching, **matching(study, 1, begin, network, **given))


def chosen(table: pd.DataFrame) -> str:
    """The row that the rule takes of a ``distance_table``: the nearest, and of those as near the one that moved least."""
    near = table[table.after <= table.after.min() * (1 + _TIE)]
    return near.moved.idxmin()


def choose(study: SRStudy, starts: Sequence[str] = STARTS, grid: Sequence[Rate] = GRID) -> Mapping[str, pd.DataFrame]:
    """The distances of every setting by start, with a mark at the chosen one."""
    rows = {start: [row for _, row in rows_of(study, start, grid)] for start in starts}
    study.execution.start([distance_task(study, row, seed) for found in rows.values() for row in found for seed in study.seeds])
    tables = {}
    for start, found in rows.items():
        table = distance_table(study, found)
        tables[start] = table.assign(chosen=["*" if label == chosen(table) else "" for label in table.index])
        print(tables[start].to_string(), flush=True)
    return tables


def main() -> None:
    """The command."""
    from srdistill.papers.dietz import PAPER

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--profile", default="laptop")
    parser.add_argument("--seeds", type=int, default=1, help="sets of each setting (1: as the plan was chosen)")
    parser.add_argument("--pictures", type=int, default=12, help="how many each set is made of (12; 0: as the plan has it)")
    parser.add_argument("starts", nargs="*", default=STARTS, help=f"of {', '.join(STARTS)}")
    given = parser.parse_args()
    study = PAPER.open("dietz_t4", profile=given.profile, seeds=given.seeds)
    # Every picture is matched for itself, so that a few tell which rate is best.
    study.plan = replace(study.plan, source_pictures=given.pictures or study.plan.source_pictures)
    choose(study, given.starts)


if __name__ == "__main__":
    main()
