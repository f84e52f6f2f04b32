"""What every notebook does with its results: table, sizes, plots, a closer look, claims, files.

What else every notebook shows can be imported from here as well.
"""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from srdistill.images.convention import mod_crop
from srdistill.study.metrics import METRICS
from srdistill.study.pages.describe import describe, rows_table, sizes_table
from srdistill.study.pages.figures import Zoom, score_plot, zoom_figure
from srdistill.study.pages.save import save_table, saved
from srdistill.study.pages.tables import long_table, per_seed, show, wide_table
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
        """A dot per seed, a panel per student; saved under ``name`` (the metric's own by default)."""
        figure = score_plot(self.scores, metric, self.testset, list(self.rows), METRICS[metric].axis)
        return saved(self.study, figure, name or metric.removeprefix("recovered_").removesuffix("_alex"))

    def zoom(
        self, networks: Sequence[str], labels: Sequence[str] = (), pictures: Sequence[int] = (0,), name: str = "outputs"
    ) -> Figure:
        """What students make of test pictures: a row for each student and picture, a column for each of the ``labels``
        (all)."""
        scale = self.results.scale
        rows = [self.rows[label] for label in labels or self.rows]
        truths = [mod_crop(self.study.tests[self.testset].images[index]) for index in pictures]
        zooms = [Zoom(hr, self.study.super_resolved(rows, one, hr, scale)) for one in networks for hr in truths]
        return saved(self.study, zoom_figure(zooms, shave=scale), name)

    def check(self, questions: Sequence[Question], networks: Sequence[str]) -> Styler:
        """The questions, answered for each of the students; kept for ``save``, beside those of other calls."""
        found = check(self.study, self.results, questions, networks)
        names = {claim.name for claim in found}  # a cell may be run twice
        self.claims = [claim for claim in self.claims if claim.name not in names] + found
        return claims_table(self.claims)

    def save(self) -> list[str]:
        """Write the table, its claims and its provenance; return the file names. Raises CellsFailed if cells failed."""
        return save_table(self.study, self.results, self.long, self.claims)
