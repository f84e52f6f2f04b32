"""Studies of sets that are chosen for a budget: every method is told the budget, the scale and its own size by its row."""

from srdistill.images.pictures import Pictures
from srdistill.papers.beyond.labels import FULL_SCALES
from srdistill.papers.beyond.selecting.pyramid_coverage import pyramid_coverage
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet
from srdistill.study.rows import ORIGINAL, Row
from srdistill.study.sr import SRStudy


class BeyondStudy(SRStudy):
    """``SRStudy``, whose rows name all settings of their methods."""

    full_rows = (ORIGINAL, FULL_SCALES)

    def set_defaults(self, row: Row) -> dict:
        """What sets are made of."""
        return {"real": self.sources()}


def coverage(study: BeyondStudy, real: Pictures, seed: int = 0) -> DistilledSet:
    """Pyramid coverage of other pictures than the study's, with the settings of its row, made at once and not stored.

    Tiles of as many px as the study's plan says (``tile``). Raises what ``pyramid_coverage`` raises.
    """
    plan = study.plan
    return pyramid_coverage(
        real, budget=plan.budget, scale=study.table.scale, tile=plan.tile, settings=plan.coverage,
        generator=generator_for(seed, "set"),
    )  # fmt: skip
