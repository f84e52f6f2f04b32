"""Small steps of writing sentences."""


def counted(number: int, what: str) -> str:
    """``1 seed``, ``3 seeds``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
