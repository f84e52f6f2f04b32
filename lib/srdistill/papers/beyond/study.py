"""Studies of sets that are chosen for a budget: every method is told the budget, the scale and its own size by its row."""

from srdistill.study.rows import Row
from srdistill.study.sr import SRStudy


class BeyondStudy(SRStudy):
    """``SRStudy``, whose rows name all settings of their methods."""

    def set_defaults(self, row: Row) -> dict:
        """What sets are made of."""
        return {"real": self.sources()}
