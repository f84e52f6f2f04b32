"""The kinds of tasks that several wings have; a wing may bring its own ``Step``.

Every process that trains or reads a network comes through here, and has to know all of them, ``LATER`` ones too.
"""

from srdistill.networks.later import LATER

__all__ = ["LATER"]
