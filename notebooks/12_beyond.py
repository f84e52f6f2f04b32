# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Beyond the papers: the best small training set for super-resolution
#
# **In three lines.** One percent of the pixels is enough: whole pictures, shrunk, train all six students about as well as all
# pictures at their best, or better. Nothing that selects, filters, herds or distills beats plain shrinking by more than two
# draws of it differ; crops, hardest tiles and the selections in print lose. `make distill` shrinks any folder of pictures.
#
# The three papers distil. None of their sets beats what anybody can make in a second: the training pictures, shrunk. The share
# of full data's gain over bicubic that a set of about nine percent of the pixels brings back, in Dietz et al.'s own numbers
# (Set5, ×2, bicubic at 32.06 dB):

# %%
import time
from dataclasses import replace

import pandas as pd
import torch
import torch.nn.functional as F

from srdistill.images.pictures import to_float
from srdistill.images.resize import downscale
from srdistill.networks import build_network
from srdistill.papers import beyond, dietz
from srdistill.papers.beyond import (
    BY_BYTES,
    COVERAGE,
    CROPS,
    DCSR,
    FULL_SCALES,
    HARDEST,
    HERDED,
    LARGER,
    LIKE,
    MOSER,
    SHAPED,
    SHRUNK,
    SMALLER,
    SQUARES,
    WITHOUT,
)
from srdistill.papers.beyond.tiles.herding import herd
from srdistill.sets.downscaled import downscaled
from srdistill.study.pages.figures import image_rows
from srdistill.study.pages.presentation import Presentation, Question, describe, rows_table, saved
from srdistill.study.pages.published import published
from srdistill.study.rows import BICUBIC, ORIGINAL

# %% tags=["nbval-check-output"]
bicubic = 32.06
for words, table, row in (
    ("downscaled pictures", "dietz_t2", "Baseline (downscaled)"), ("distilled from them", "dietz_t2", "Syn. IPC=1"),
    ("distilled, latent", "dietz_t4", "Latent Distillation"),
):  # fmt: skip
    cells = published(table).query("metric == 'psnr' and testset == 'set5'").set_index(["row", "network"]).value
    shares = (
        f"{name} {100 * (cells[row, name] - bicubic) / (cells[ORIGINAL, name] - bicubic):.1f} %" for name in ("SRCNN", "EDSR")
    )
    print(f"{words:20} {', '.join(shares)}")

# %% [markdown]
# **Our question.** Which set of a given size trains the best networks? Whatever is chosen, shaped or distilled here has to beat
# shrunken pictures, and full data that is used as well as it can be: hard windows of it, at several scales, for four times the
# steps.

# %% tags=["parameters"]
profile = ""  # smoke, laptop, desktop, gpu or paper; empty: SRDISTILL_PROFILE, or else laptop
seeds = 0  # number of seeds; 0: the profile's own
data = ""  # a folder of your own training pictures; empty: the profile's

# %%
study, budgets, x4, unseen, coded, parts = (
    beyond.PAPER.open(f"beyond_t{number}", profile=profile, seeds=seeds, data=data) for number in range(1, 7)
)
rows, others = study.rows(), {one.name: one.rows() for one in (budgets, x4, unseen, coded, parts)}
describe(study)

# %% [markdown]
# ## The candidates
#
# Each row is one of them; each may lose.
#
# * **Downscaled**: whole pictures, shrunk to squares; fewer larger ones, or more smaller ones. The line to beat.
# * **Shaped**: the same, through a radial filter that brings their mean spectrum nearer to that of full-size pictures.
# * **Shrunk squares**: not the whole of a picture, but random squares of it, shrunk to between a fifth and two fifths.
# * **Herded**: of several times as many shrunken pictures those whose gradients have the mean of all, so that a network gets
#   from the few the steps that the many would give it; each is exchanged for a better one as long as there is one.
# * **Pyramid coverage**: tiles of every picture at six scales, the whole picture in one tile among them. Each is scored by what
#   bicubic loses of it; at every scale the flattest two fifths go, and the outlying three percent. Of the others, as many are
#   chosen as the budget holds, so that every candidate has one near it (facility location) by its spectrum. Further down are
#   rows that leave out one of its parts each.
# * **Selections in print**: hardest tiles (SamplingAug), the hardest by a network's loss but for the outliers (Moser et al.),
#   kinds of texture in equal parts (DCSR).
#
# And what distilling makes of shrunken pictures, one of each, by the rate of `02_downscaled_init`:

# %%
theirs = dietz.PAPER.open("dietz_t2", profile=profile, data=data)
side = int((study.plan.budget * study.train.pixels / len(study.train)) ** 0.5) // 4 * 4
started = study.row(f"Downscaled, {side} px", downscaled, ipc=1, size=side)
distilled = study.row("Distilled in pixels", dietz.gradient_matching, size=side, **dietz.matching(theirs, 1, "downscaled"))
for row in (started, distilled):
    rows[row.label] = replace(row, budget=f"{100 * study.plan.budget:g} %")
rows_table(rows)

# %%
small = [CROPS, HARDEST, DCSR, LARGER, SMALLER, SHAPED, SQUARES, HERDED, COVERAGE]
sets = study.sets(rows[name] for name in small)
saved(study, image_rows({name: made.images[:8] for name, made in sets.items()}, [""] * 8), "sets")

# %% [markdown]
# ### From scratch
#
# Herding, in plain torch: the gradient that each picture gives a network's last layer is a point; taken is, again and again,
# the one that brings the mean of those taken nearest to the mean of all. (The library then exchanges each for a better one.)

# %%
network = build_network("SRCNN", scale=2, seed=0)
last = [weight for weight in network.parameters() if weight.ndim > 1][-1]
points = []
for picture in to_float(sets[SMALLER].images)[:40]:
    loss = F.mse_loss(network(downscale(picture[None], 2)), picture[None])
    points.append(F.normalize(torch.autograd.grad(loss, last)[0].flatten(), dim=0))
points = torch.stack(points).double()

aim, total, taken = points.mean(0), torch.zeros_like(points[0]), []
for count in range(1, 9):
    away = (total + points - count * aim).norm(dim=1)
    away[taken] = torch.inf
    taken.append(int(away.argmin()))
    total = total + points[taken[-1]]
assert taken == herd(points, 8, passes=0).tolist()
by_chance = points[torch.randperm(len(points), generator=torch.Generator().manual_seed(0))[:8]].mean(0)
print(f"eight of {len(points)}: {(total / 8 - aim).norm():.4f} from the mean of all, at random {(by_chance - aim).norm():.4f}")

# %% [markdown]
# Where do the tiles of coverage come from?

# %%
made = sets[COVERAGE]
print(f"{made.settings['candidates']:,} candidates of {made.settings['all_tiles']:,} tiles, {len(made)} chosen, "
      f"from {made.settings['pictures_chosen']} pictures")  # fmt: skip
pd.DataFrame({"tiles chosen": made.settings["levels_chosen"]}).rename_axis("scale").T

# %% [markdown]
# ## Why shrinking works
#
# What a student learns from is what bicubic does not bring back, and that lies in the upper octave of the spectrum. The figure
# has the spectra of some sets, and what they are of that of Set5. Shrunken pictures have more than twice the energy there of
# what they were made of, and of crops of full size: every step has more to learn from. More of it is not better, though: the
# hardest tiles have by far the most, and lose in the table below.

# %%
truth = next(iter(study.tests.values())).images
shown_sets = {"training pictures": study.train.images} | {name: sets[name].images for name in (CROPS, HARDEST, SMALLER, SHAPED,
                                                                                              COVERAGE)}  # fmt: skip
saved(study, beyond.spectra(shown_sets, truth, side=study.plan.small), "spectra")

# %% [markdown]
# ## The run
#
# All students of a table take as many steps, from crops and flips drawn alike.

# %%
results = study.run(rows)
more = {one.name: one.run(others[one.name]) for one in (budgets, x4, unseen, coded, parts)}
print(results, *more.values(), sep="\n")

# %% [markdown]
# ## One budget, ×2
#
# Settings were chosen with the two students here, on training pictures.

# %%
shown = Presentation(study, rows, results)
shown.table()


# %% [markdown]
# Gain over bicubic, PSNR of the luma, dB; means over seeds and over the test sets, each of which counts the same:

# %%
def by_seed(presented: Presentation) -> pd.DataFrame:
    """Rows and students by seeds."""
    scores = presented.scores.query("metric == 'psnr_y'")
    plain = scores[scores.row == BICUBIC].set_index("testset")["value"]
    ours = scores[scores.row != BICUBIC].assign(value=lambda found: found.value - found.testset.map(plain))
    return ours.groupby(["row", "network", "seed"], sort=False)["value"].mean().unstack("seed")


def gains(presented: Presentation) -> pd.DataFrame:
    """Rows by students."""
    found = by_seed(presented).mean(axis=1).unstack("network", sort=False)
    return found.reindex(list(presented.rows))


gains(shown).round(2)

# %%
shown.plot("psnr_y")

# %%
shown.sizes()

# %% [markdown]
# What choosing costs, seconds of one core:

# %%
seconds = {name: study.entry(study.set_task(rows[name], 0)).seconds for name in sets | {MOSER: None, LIKE: None}}
pd.Series(seconds, name="seconds").round(1).to_frame().T

# %% [markdown]
# How does it grow? Coverage of a quarter, of half and of all training pictures, at the same budget:

# %%
count = len(study.train)
growth = {}
for share in (0.25, 0.5, 1.0):
    some, start = study.train.spread(max(1, round(share * count))), time.perf_counter()
    beyond.coverage(study, some)
    growth[f"{len(some)} pictures"] = time.perf_counter() - start
pd.Series(growth, name="seconds").round(1).to_frame().T

# %% [markdown]
# ## What each part does
#
# Coverage without one of its parts, with as many tiles of each scale (*scales alike*), taking those with the most detail first
# (*hardest first*), with gradients in place of the spectrum, or filtered as the shaped pictures are; shrunken pictures by other
# kernels, sharpened, or matched to a power law; herding of squares. The second student alone.

# %%
in_parts = Presentation(parts, others[parts.name], more[parts.name])
gains(in_parts).round(2)

# %% [markdown]
# ## Other budgets

# %%
small_budgets = Presentation(budgets, others[budgets.name], more[budgets.name])
gains(small_budgets).round(2)

# %% [markdown]
# How far apart do seeds lie? Those of full data train alike on the same pictures; those of a set draw it anew as well. Standard
# deviations of the gain over seeds, dB, root mean squares over the rows of each size:

# %%
apart = pd.concat([by_seed(one).std(axis=1) for one in (shown, small_budgets)])
apart = apart[~apart.index.duplicated()].unstack("network", sort=False)
size = [(rows | others[budgets.name])[label].budget or "all pictures" for label in apart.index]
apart.pow(2).groupby(size).mean().pow(0.5).round(3).rename_axis("of the pixels")

# %% [markdown]
# ## Twice the scale

# %%
at_x4 = Presentation(x4, others[x4.name], more[x4.name])
gains(at_x4).round(2)

# %% [markdown]
# ## Students that nothing was chosen with

# %%
new_students = Presentation(unseen, others[unseen.name], more[unseen.name])
gains(new_students).round(2)

# %%
new_students.plot("psnr_y")

# %% [markdown]
# ## Equal bytes
#
# Pixels are not what storing costs. Here every set has the bytes that the smaller shrunken pictures take without loss, in
# mosaics of lossless WebP; *coded* ones may lose a share of their detail in JPEG, and hold more tiles.

# %%
priced = Presentation(coded, others[coded.name], more[coded.name])
held = {name: coded.make_set(row) for name, row in others[coded.name].items() if row.method}
pd.DataFrame({
    "images": {name: len(found) for name, found in held.items()},
    "bytes": {name: found.settings["encoded_bytes"] for name, found in held.items()},
    "detail lost, %": {name: round(100 * found.settings["mean_error_share"], 1) for name, found in held.items()},
}).join(gains(priced).round(2))  # fmt: skip

# %% [markdown]
# ## The claims, checked
#
# Every question is about all test pictures, PSNR of the luma. *The best full data* is full data at several scales; of its four
# ways that is the best for EDSR, and within three hundredths of a decibel of it for SRCNN. In the claims *they* are the smaller
# shrunken pictures, and *it* is that full data. Shown are the claims of the first table, then those at equal bytes; those of
# the other tables stand with all others in `papers_tables/desktop/CLAIMS.md`.

# %%
luma, longer = {"metric": "psnr_y"}, f", {study.plan.longer} x steps"


def questions(found: dict, sign: str = "", where: str = "") -> list[Question]:
    """Each of ours in the rows ``found`` against shrunken pictures of both sizes; ``sign``: what their labels end with."""
    names = [name for name in (SHAPED, SQUARES, HERDED, COVERAGE) if f"{name}{sign}" in found]
    return [
        Question(f"{name.split()[0].lower()}-{size}{sign}-{{network}}", f"{{network}}{where}: {name} beats {plain}",
                 f"{name}{sign}", f"{plain}{sign}", **luma)
        for name in names for size, plain in (("larger", LARGER), ("smaller", SMALLER)) if f"{plain}{sign}" in found
    ]  # fmt: skip


against = [
    Question("crops-{network}", "{network}: shrunken pictures beat crops of full size", SMALLER, CROPS, **luma),
    Question("full-{network}", "{network}: shrunken pictures beat all of full data", SMALLER, ORIGINAL, **luma),
    Question("full-best-{network}", "{network}: shrunken pictures beat the best full data", SMALLER, FULL_SCALES, **luma),
    Question("full-longer-{network}", f"{{network}}: they beat it, both trained for {study.plan.longer} times the steps",
             f"{SMALLER}{longer}", f"{FULL_SCALES}{longer}", **luma),
    Question("short-{network}", f"{{network}}: they beat it, it alone trained for {study.plan.longer} times the steps", SMALLER,
             f"{FULL_SCALES}{longer}", **luma),
    Question("near-{network}", "{network}: they are within 0.1 dB of it, or better", SMALLER, FULL_SCALES, line=-0.1, **luma),
    Question("distilling-{network}", "{network}: distilling shrunken pictures helps", distilled.label, started.label, **luma),
    Question("choice-{network}", "{network}: coverage beats random tiles of its scales", COVERAGE, LIKE, **luma),
]  # fmt: skip
shown.check([*questions(rows), *against], results.networks)

# %%
for budget in budgets.plan.budgets:
    percent = f"{100 * budget:g} %"
    asked = questions(others[budgets.name], f", {percent}", f", {percent}")
    near = f"{{network}}, {percent}: shrunken pictures are within 0.1 dB of the best full data, or better"
    asked.append(Question(f"near-{percent}-{{network}}", near, f"{SMALLER}, {percent}", FULL_SCALES, line=-0.1, **luma))
    small_budgets.check(asked, results.networks)
in_parts.check([
    *(Question(f"without-{what}-{{network}}", f"{{network}}: coverage is better for its {what}", COVERAGE,
               f"{COVERAGE}, without {what}", **luma) for what in WITHOUT),
    *(Question(f"{how}-{{network}}", f"{{network}}: shrunken pictures, {how}, beat them as they are", f"{SMALLER}, {how}",
               SMALLER, **luma) for how in SHRUNK),
] if study.plan.ways else [], more[parts.name].networks)  # fmt: skip
for one, where in ((at_x4, ", ×4"), (new_students, "")):
    near = f"{{network}}{where}: shrunken pictures are within 0.1 dB of the best full data, or better"
    asked = [*questions(one.rows, where=where), Question("near-{network}", near, SMALLER, FULL_SCALES, line=-0.1, **luma)]
    one.check(asked, one.results.networks)
priced.check([
    Question("coding-{network}", "{network}: a little loss leaves room for what pays more", f"{SMALLER}, coded",
             f"{SMALLER}, lossless", **luma),
    *(Question(f"bytes-{name}-{{network}}", f"{{network}}, equal bytes: {name} beats shrunken pictures", f"{name}, coded",
               f"{SMALLER}, coded", **luma) for name in (COVERAGE, BY_BYTES)),
], more[coded.name].networks)  # fmt: skip

# %% [markdown]
# ## What we saw
#
# The claims are the finding, verdict by verdict. This page shows the `desktop` run: 290 training pictures, three seeds, Set5,
# Set14 and crops of DIV2K, students at rates that were chosen for each on training pictures by one rule.
#
# * **Shrunken pictures are enough.** At one percent of the pixels they train no student worse than the best full data does by
#   a tenth of a decibel, and some better: SRCNN, FSRCNN and SRFormer, which learn slowly and see more detail in as many
#   steps. Below that the size of squares decides: at 0.3 percent many small ones still come within about a tenth, a few
#   larger ones lose that or more.
#
# * **Nothing chosen beats them.** Filtered, as squares of pictures, herded, covered: no row beats both sizes of shrunken
#   pictures, with any student, at any budget or scale; most differences are some hundredths of a decibel, no more than what
#   seeds make (their table). Distilling helps neither student. The goal of this notebook, one method that beats the best
#   shrunken pictures everywhere, is not reached.
#
# * **Why.** At its rate a student is limited by its steps and its size more than by its data: four times the steps bring more
#   than any set does. What a set can spoil is the spectrum. Shrinking with an antialiased kernel fills the upper octave with
#   what was there; aliasing, sharpening and matching a power law fill it with what no test picture has, and cost up to half a
#   decibel. Hard tiles do worse still: glitter on water and leaves, of few pictures (above).
#
# * **Coverage loses by its choice.** It takes most tiles near full size. A random choice of what its trimming leaves is
#   better, hardest first far worse; gradients in place of the spectrum bring it back to where shrunken pictures are. Whether
#   its scales and its trimming help is open.
#
# * **For longer**, full data at several scales draws level with shrunken pictures for EDSR; for SRCNN it stays behind.
#
# * **At ×4** whole pictures of 40 px are shrunk too far for EDSR: shrunk less, to 96 px or as squares of 40 px, they train it
#   like full data. `make distill` shrinks whole pictures, so it takes larger tiles there: 24 px of the LR picture.
#
# * **Bytes.** A little loss leaves room for more shrunken pictures, and changes nothing that can be told; they stay ahead of
#   coverage, and pricing tiles by their bytes makes it worse, as flat tiles are cheap.
#
# `13_further` goes on: chosen pixels that are moved, labels of a teacher, nine percent, more steps, clean pictures.

# %% [markdown]
# ## Exercises
#
# 1. Shrink further: squares of 32 px, or of 24. *Hint:* `study.row("...", shaped, budget=study.plan.budget, size=32)`; crops
#    of the students are 32 px, so what is lost besides detail?
# 2. Your own selection: a function from pictures to a `DistilledSet` (README, *Your own method*) is a row like any other.
#    *Hint:* start from `lib/srdistill/papers/beyond/selecting/random_tiles.py`; give the row `budget=study.plan.budget`, put it
#    into `rows` before the run, and look at `shown.sizes()` before `gains(shown)`.

# %%
shown.save()

# %%
for presented in (small_budgets, at_x4, new_students, priced, in_parts):
    print(*presented.save(), sep="\n")
