"""What the rows are called, the other ways of a candidate that are rows as well, and the students."""

from srdistill.images.shrinking import ALIASED, LANCZOS

FULL_HARD, FULL_SCALES, FULL_BOTH = "Full data, hard windows", "Full data, several scales", "Full data, hard, several scales"
CROPS, HARDEST, MOSER, DCSR = "Random crops", "Hardest tiles", "Trimmed by loss (Moser)", "DCSR"
LARGER, SMALLER, SHAPED = "Downscaled, larger", "Downscaled, smaller", "Shaped, smaller"
SQUARES, HERDED = "Shrunk squares, smaller", "Herded, smaller"
REFINED, MORE = "Herded, refined", f"{SMALLER}, more of them"
# What a larger student makes of shrunken pictures, in their place.
TAUGHT = f"{SMALLER}, taught"
COVERAGE, LIKE = "Pyramid coverage", "Random tiles, its scales"
# What is taken away from coverage, and the row that is left.
WITHOUT = {"scale": {"levels": (1.0,)}, "trim": {"low": 0.0, "high": 0.0}, "choice": {"choose": "random"}}
# Coverage in other ways.
OTHERWISE = {"scales alike": {"balance": True}, "hardest first": {"choose": "highest"}}
GRADIENTS, BOTH, BY_BYTES = f"{COVERAGE}, gradients", f"{COVERAGE}, shaped", f"{COVERAGE}, gain per byte"
# Shrunken pictures in other ways: kernels, sharpening, what the radial filter is fitted to.
SHRUNK = {
    "Lanczos": {"kernel": LANCZOS}, "aliased": {"kernel": ALIASED}, "unsharp 0.5": {"sharpen": 0.5},
    "power law": {"match": 1.0, "target": "power law"},
}  # fmt: skip
# Squares of pictures that are shrunk to between a fifth and two fifths, not the whole of each.
FACTORS = (0.2, 0.4)
# What is compared at other budgets, scales, and with other students.
STRONGEST = (LARGER, SMALLER, SQUARES, HERDED)
# Students that settings were chosen with, and others; the one that teaches.
PROXIES = ("SRCNN", "EDSR 4 x 16")
TEACHER = "EDSR 8 x 32"
UNSEEN = ("FSRCNN", "EDSR 8 x 32", "RCAN", "SRFormer")
# Of these, one of each kind: convolutions on the small picture, and attention.
OTHERS = ("FSRCNN", "SRFormer")
