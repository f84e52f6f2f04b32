"""The kinds of tasks that several wings have; a wing may bring its own ``Step``."""

# Every process that trains or reads a network comes through here, and has to know all of them.
import srdistill.networks.later  # noqa: F401
