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
# # Table 1: distillation from noise
#
# **Paper.** Dietz et al., *dataset distillation for image super-resolution*, table 1, ×2.
#
# **Its claim.** Dataset Condensation is carried over from classification: synthetic images are moved until the gradients
# that they give a small SR network match those of real images. If the synthetic images start as noise, the paper says,
# the result is useless: *"with IPC=1, the performance degrades severely, with PSNR dropping by more than 15 dB compared to
# the baseline. Even with IPC=10, the improvement remains marginal."*
#
# **Our question.** The table has no row for the noise *before* distillation. Is noise a bad start for distillation, or is it
# distillation that makes it bad? Here is the printed table; below, it is made again with the missing rows.

# %%
import pandas as pd

from srdistill.images.subimages import extract_sub_images
from srdistill.papers import dietz
from srdistill.papers.dietz.steps import distance_table
from srdistill.papers.dietz.tables import PUBLISHED
from srdistill.study.pages.figures import (
    distance_curves,
    evolution,
    image_rows,
    learning_figure,
    pair_figure,
    sub_image_figure,
)
from srdistill.study.pages.measures import histories, learning_curves, levels_moved, pixel_range
from srdistill.study.pages.presentation import Presentation, Question, describe, rows_table, saved
from srdistill.study.pages.published import printed_table, published

printed_table("dietz_t1")

# %% [markdown]
# What the paper's sentence rests on: the drop from full data to the distilled noise in dB, in its own numbers (Set5).

# %% tags=["nbval-check-output"]
printed = published("dietz_t1").query("metric == 'psnr' and testset == 'set5'")
psnr = printed.set_index(["row", "network"]).value.unstack(sort=False)
(psnr.loc["Baseline (original)"] - psnr.loc[["Syn. IPC=1", "Syn. IPC=10"]]).round(2)

# %% [markdown]
# The three VDSR numbers of the baseline are those of plain bicubic enlargement, digit for digit (see `00_protocol`): that
# network did not train. So the printed evidence is SRCNN and EDSR.

# %% tags=["parameters"]
profile = ""  # smoke, laptop, desktop, gpu or paper; empty: SRDISTILL_PROFILE, or else laptop
seeds = 0  # number of seeds; 0: the profile's own
data = ""  # a folder of your own training pictures; empty: the profile's

# %%
study = dietz.PAPER.open("dietz_t1", profile=profile, seeds=seeds, data=data)
describe(study)

# %% [markdown]
# ## What goes in
#
# A *class* is one source picture. Its real images are windows of it, the **sub-images**, which overlap in the paper. The
# synthetic set has **IPC** (images per class) images for each picture. Only HR images are stored; LR images are made from them
# by bicubic downscaling whenever a pair is needed.

# %%
pair_figure(study.train.images[0], window=(1 / 8, 1 / 3, 1 / 4))

# %%
pictures = study.sources().load()
windows = extract_sub_images(pictures, study.plan.matching.crop, study.plan.matching.step)
print(f"{len(windows)} sub-images of {windows.crop} px from {len(pictures)} pictures")
saved(study, sub_image_figure(windows, label=0), "sub_images")

# %% [markdown]
# ## The method
#
# For a network with weights $\theta$ let $g^T_c$ be the gradient of its mean squared error on the real images of class
# $c$, and $g^S_c$ the gradient on the synthetic ones. Each iteration draws new weights and takes one gradient step
#
# $$ S \leftarrow S - \eta \, \nabla_S \sum_c \sum_l \sum_o \Big( 1 - \frac{\langle g^T_{c,l,o},\, g^S_{c,l,o} \rangle}
# {\lVert g^T_{c,l,o} \rVert \, \lVert g^S_{c,l,o} \rVert} \Big) $$
#
# where $l$ runs over the layers and $o$ over the output channels of a layer. This is the distance of DC's code; the paper
# prints one cosine over everything, which is `Matching(distance="cosine")` here. Biases count nothing.
#
# With IPC = 1, DC never trains the network between two comparisons: it matches gradients **at random initialisation only**.
# The rows below do so too.
#
# Three things are ours. Images stay in $[0, 1]$. The learning rate $\eta$ is in those units. The same flip is applied to real
# and synthetic images of an iteration.
#
# The rows of the table, printed ones and ours. (They are defined in `lib/srdistill/papers/dietz/tables.py`.)

# %%
rows = study.rows()
rows_table(rows)

# %% [markdown]
# Here is the first image of each picture, as noise and after distillation.

# %%
sets = study.sets(rows.values())
before, after = sets["Noise, IPC=1, undistilled"], sets["Syn. IPC=1"]
saved(study, image_rows({"noise": before.images, "distilled": after.images}, before.names), "before_after")

# %%
saved(study, evolution({"from noise": after.snapshots}), "evolution")

# %% [markdown]
# The distance between the gradients, one thin line per seed. It jitters because every iteration has another network.

# %%
distance_curves(histories(study, [rows["Syn. IPC=1"], rows["Syn. IPC=10"]]))

# %% [markdown]
# Does matching lower what it is meant to lower? The distance of the sets to all sub-images of the real pictures, on networks
# that matching never saw, of the noise and of what came out; means over the seeds. Optimiser and rate of the images are those
# after which it is lowest, of a fixed grid (`python -m srdistill.papers.dietz.choose_rates`); no student had a say.

# %%
distance_table(study, rows)

# %% [markdown]
# The range of the images has been suspected of being the reason for the printed 15 dB. So it is logged:

# %%
facts = {label: pixel_range(made.images) for label, made in sets.items()}
pd.DataFrame(facts | {"training pictures": pixel_range(study.train.images)}).T.round(3)

# %% [markdown]
# ## The run
#
# Every row is made once per seed, and SRCNN, VDSR and EDSR are trained on it for the same number of steps, from the same
# start. Whatever is in the store is not computed again.

# %%
results = study.run(rows)
print(results)

# %% [markdown]
# ## Our table beside the printed one

# %%
shown = Presentation(study, rows, results)
shown.table()

# %% [markdown]
# How far had the students come? Full data, seed 0: what they gain over bicubic after a quarter, a half, all, and twice the
# steps of the table, each in a schedule of its own whose rate falls to zero.

# %%
curves = learning_curves(study, rows["Baseline (original)"], study.table.networks, shown.testset)
saved(study, learning_figure(curves), "learning")

# %%
shown.sizes()

# %% [markdown]
# ## Plots
#
# One dot per seed; the dotted line is plain bicubic.

# %%
shown.plot("psnr")

# %% [markdown]
# What the students make of one test picture:

# %%
shown.zoom(["EDSR"])

# %% [markdown]
# ## Where could 15 dB come from?
#
# Optimiser and learning rate of the images, which the paper does not print, may decide everything. The gradient of one pixel is
# tiny, and grows smaller with the image: with SGD, a rate that suits a 32 px classifier (DC uses 0.1 in units of standard
# deviations, about 0.03 here; GLaD 1) may hardly move these images. What a rate means depends on the distance, too: DC's is a
# sum over all output channels; the one that the paper prints is a single cosine, `Matching(distance="cosine")`, with much
# smaller gradients. One seed:

# %%
one = dietz.PAPER.open("dietz_t1", profile=profile, seeds=1, data=data)
sgd = PUBLISHED
changes = {f"SGD, lr {rate:g}": sgd | {"lr": rate} for rate in (0.1, 1.0, 10.0)}
changes["SGD, lr 1, the printed cosine"] = sgd | {"distance": "cosine"}
changes["as in the table"] = {}
tried = {label: one.row(label, dietz.gradient_matching, **dietz.matching(one, 1, "noise", **change))
         for label, change in changes.items()}  # fmt: skip
psnr = Presentation(one, tried, one.run(tried)).scores.query("metric == 'psnr' and testset == @shown.testset")
moved = pd.Series({label: levels_moved(before, made) for label, made in one.sets(tried.values()).items()})
students = psnr.pivot(index="row", columns="network", values="value").loc[list(tried), list(study.table.networks)]
students.add_suffix(", dB").assign(**{"moved by, 8-bit levels": moved}).round(2)

# %% [markdown]
# ## The claims, checked

# %%
questions = [
    Question(
        "drop-{network}", "{network}: full data minus distilled noise, IPC=1, is more than 15 dB",
        first="Baseline (original)", second="Syn. IPC=1", line=15.0, about="loser",
        sentence="with IPC=1, the performance degrades severely, with PSNR dropping by more than 15 dB",
    ),
    Question(
        "marginal-{network}", "{network}: IPC=10 gains something, but less than 1 dB, over IPC=1",
        first="Syn. IPC=10", second="Syn. IPC=1", upper=1.0, about="loser",
        sentence="Even with IPC=10, the improvement remains marginal",
    ),
    Question(
        "insufficient-{network}", "{network}: real crops of equal pixels beat distilled noise",
        first="Random real crops, IPC=1", second="Syn. IPC=1", about="loser",
        sentence="naive random initialization is insufficient for learning effective SR training images",
    ),
    Question(
        "noise-{network}", "{network}: undistilled noise beats the distilled noise",
        first="Noise, IPC=1, undistilled", second="Syn. IPC=1", about="loser",
    ),
]  # fmt: skip
shown.check(questions, ["SRCNN", "EDSR"])

# %% [markdown]
# ## What we saw
#
# The board above is the finding, verdict by verdict; its gates say where this run could not have told. The pair of this
# notebook holds the `desktop` run: all 291 training pictures, the papers' own test sets, students that gain about a decibel
# over bicubic or more. The `laptop` profile shows the same steps on seven photographs; there most verdicts have no power.
#
# * **Distilled noise loses badly, but matching is not what makes it bad.** EDSR and VDSR end several decibels below full data
#   and below real crops with as many pixels. Trained on the noise before distillation, a row that the paper lacks, they end far
#   lower still: matching gives EDSR about ten decibels. The distance on networks that it never saw falls in every seed.
# * **The rate decides how badly.** At DC's rate the images hardly move, and VDSR and EDSR lose what the paper prints, more than
#   15 dB; so they do with the printed cosine, whose gradients are smaller. At the rate of GLaD, which our rule chose, it is
#   about half of that; at ten times that rate a decibel or two is left, and the distance is larger again: what is nearest by
#   gradients is not what trains best. The paper prints no rate.
# * SRCNN loses little here, because ours starts as bicubic and a small rate keeps it near; from the usual start it ends below
#   bicubic after as many steps, whatever it sees (`lib/srdistill/papers/dietz/plan.py` has the figures). So the printed drop of
#   SRCNN cannot come back.
# * IPC = 10 has ten times the pixels, a quarter of the iterations, and moves less: it is worse than IPC = 1 for EDSR, which
#   says as much about our budget as about the method.
# * Full data at several scales is no better for EDSR in these schedules, and a little better for VDSR. Real crops of a hundred
#   pictures do as well as all 291 pictures: for so few steps they are enough.

# %%
shown.save()
