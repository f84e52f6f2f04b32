"""What the command refuses to do."""


class DistillError(ValueError):
    """A request that cannot be met; the message names the value and the remedy."""
