"""The four statements of the three papers that the rest hangs on, what to use instead, and the claims that decide each."""

# In words of ours: (table, names of claims as they begin). Where a sentence is about a component that a profile has no more
# than a stand-in of, it is our question about the method with that stand-in that decides.
HEADLINES = {
    "Distilled noise loses badly.": (("dietz_t1", ("insufficient-", "noise-")),),
    "Distilling downscaled pictures does not help.": (("dietz_t2", ("not-outperform-",)),),
    "Distilling in a latent space beats the inversion it starts from, and pixel space at equal pixels.": (
        ("dietz_t4", ("over-inversion-", "over-pixels-")),
    ),
    "Expanded patches beat RDED on as many pictures, and random patches with the same soft labels.": (
        ("coreset_t1", ("rded-longer-", "random-")),
        ("coreset_t2", ("rded-longer-", "random-")),
    ),
    "Use instead: shrunken pictures, which train as well as all pictures at their best.": (
        ("beyond_t1", ("full-best-", "near-")),
    ),
}


def headline_lines(claims: list[dict]) -> list[str]:
    """Each statement with the claims that decide it, as a Markdown table; statements whose tables have not been run are left
    out, and so is all of it if none has."""
    lines = []
    for words, places in HEADLINES.items():
        chosen = [c for c in claims for table, names in places if c["table"] == table and c["name"].startswith(names)]
        for claim in chosen:
            why = f" ({claim['reason']})" if claim["reason"] else ""
            lines.append(f"| {words} | {claim['statement']} | {claim['measured']} | **{claim['verdict']}**{why} |")
            words = ""
    return ["| what matters most | checked | here | verdict |", "| --- | --- | --- | --- |", *lines, ""] if lines else []
