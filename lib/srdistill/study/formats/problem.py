"""What a format cannot hold."""


class FormatError(ValueError):
    """A set that a format has no place for; the message says which, and what to do."""
