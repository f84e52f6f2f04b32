"""What every notebook does with its results: table, sizes, plots, a closer look, claims, files.

What else every notebook shows can be imported from here as well.
"""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from srdistill.images.convention import mod_crop
from srdistill.study.metrics import METRICS
from srdistill.study.pages.describe import describe, rows_table, sizes_table
from srdistill.study.pages.save import save_table, saved
from srdistill.study.pages.score_plot import score_plot
from srdistill.study.pages.tables import long_table, per_seed, show, wide_table
from srdistill.study.pages.zoom import Zoom, zoom_figure
from srdistill.study.rows import Results, Row
from srdistill.study.study import Study
from srdistill.study.verdicts.claims import Claim, claims_table
from srdistill.study.verdicts.questions import Question, check

__all__ = ["Presentation", "Question", "describe", "rows_table", "saved"]


class Presentation:
    """The results of one table. ``scores``: from ``per_seed``; ``long``: the table as it is stored."""

    def __init__(self, study: Study, rows: Mapping[str, Row], results: Results):
        self.study, self.rows, self.results = study, rows, results
        self.scores, self.long = per_seed(study, results), long_table(study, results)
        self.claims: list[Claim] = []

    @property
    def testset(self) -> str:
        """The first test set, which plots are about."""
        return next(iter(self.study.tests))

    def table(self) -> Styler:
        """Ours beside the printed numbers."""
        return show(wide_table(self.long, self.study.table.shown))

    def sizes(self) -> Styler:
        """The four sizes of every set."""
        return sizes_table(self.study, list(self.rows.values()))

    def plot(self, metric: str, name: str = "") -> Figure:
        """A dot per seed, a panel per student, printed numbers; saved under ``name`` (the metric's own by default)."""
        figure = score_plot(self.scores, metric, self.testset, list(self.rows), METRICS[metric].axis, self.long)
        return saved(self.study, figure, name or metric.removeprefix("recovered_").removesuffix("_alex"))

    def zoom(
        self, networks: Sequence[str], labels: Sequence[str] = (), pictures: Sequence[int] = (), name: str = "outputs"
    ) -> Figure:
        """What students make of test pictures: two rows for each student and picture, a column for each of the ``labels``
        (all). ``pictures``: by number; by default the one whose PSNR differs most between the rows."""
        scale, tests = self.results.scale, self.study.tests[self.testset]
        rows = [self.rows[label] for label in labels or self.rows]
        zooms = []
        for one in networks:
            for index in pictures or [self.telling([row.label for row in rows], one)]:
                truth = mod_crop(tests.images[index])
                outputs = self.study.super_resolved(rows, one, truth, scale)
                zooms.append(Zoom(truth, outputs, f"{one}, {tests.names[index]}"))
        return saved(self.study, zoom_figure(zooms, shave=scale), name)

    def telling(self, labels: Sequence[str], network: str) -> int:
        """The number of the test picture on which the middle half of the rows ``labels`` lies furthest apart in PSNR, first
        seed: one row that fails everywhere does not decide."""
        scores = self.results.scores
        mine = scores[(scores.testset == self.testset) & (scores.network == network) & scores.row.isin(labels)]
        psnr = mine[mine.seed == mine.seed.min()].groupby("image").psnr
        apart = psnr.quantile(0.75) - psnr.quantile(0.25)
        return self.study.tests[self.testset].names.index(apart.idxmax()) if apart.max() > 0 else 0

    def check(self, questions: Sequence[Question], networks: Sequence[str]) -> Styler:
        """The questions, answered for each of the students; kept for ``save``, beside those of other calls."""
        found = check(self.study, self.results, questions, networks)
        names = {claim.name for claim in found}  # a cell may be run twice
        self.claims = [claim for claim in self.claims if claim.name not in names] + found
        return claims_table(self.claims)

    def save(self) -> list[str]:
        """Write the table, its claims and its provenance; return the file names. Raises CellsFailed if cells failed."""
        return save_table(self.study, self.results, self.long, self.claims)
