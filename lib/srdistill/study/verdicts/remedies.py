"""What would decide a claim that a run left open."""

import math

from srdistill.study.verdicts.claims import NO_POWER, OPEN, UNDECIDED

# By the first word of a reason, as ``gates`` and ``Presentation`` write it.
_OF_REASON = {
    "no headroom": "students that gain more on full data: longer schedules, larger networks",
    "vacuous": "students that gain more on full data than the line leaves to bicubic",
    "stand-in": "the paper's own component, in profile `paper`",
}
# Beyond this a number of runs is no advice.
_MOST = 100


def remedy(claim: dict) -> str:
    """In words; empty for a claim that is decided."""
    if claim["verdict"] == NO_POWER:
        found = [text for reason, text in _OF_REASON.items() if claim["no_power"].startswith(reason)]
        return found[0] if found else "the missing metric or row"
    if claim["verdict"] not in (OPEN, UNDECIDED):
        return ""
    if claim["interval"] is None:
        return "more than one seed"
    low, high = claim["interval"]
    mean, reach = (low + high) / 2, (high - low) / 2
    lines = [claim["line"], *([claim["upper"]] if claim["upper"] is not None else [])]
    distance = min(abs(mean - line) for line in lines)
    times = math.ceil(round((reach / distance) ** 2, 6)) if distance > 0 else math.inf
    if times > _MOST:
        return "nothing affordable: the two are equal, as far as can be seen"
    return f"an interval {math.sqrt(times):.1f} times as narrow: some {times} times as many seeds and test pictures"
