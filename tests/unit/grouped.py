"""Calls written flat: tests name a setting where they name an argument."""

from dataclasses import fields


def grouped(kind: type, name: str, options: dict) -> dict:
    """``options`` with those that are fields of the settings ``kind`` gathered in one argument ``name``."""
    known = {field.name for field in fields(kind)}
    settings = {key: value for key, value in options.items() if key in known}
    return {key: value for key, value in options.items() if key not in known} | {name: kind(**settings)}
