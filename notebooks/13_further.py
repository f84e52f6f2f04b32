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
# # Further: refined sets, taught sets, more pixels, more steps
#
# **In three lines.** A larger student's images in place of the shrunken ones are the first to help: by a tenth of a decibel,
# about what four times the steps bring. Refining by gradients and codes do not; of nine times the pixels that is open.
# Shrinking has a limit: of pictures never compressed, full data is a tenth ahead, and crops cannot be told from shrunken ones.
#
# `12_beyond` compared what can be *chosen* or *shrunk* with one percent of the pixels, and nothing beat plain shrinking. Here
# is what is left to try: to **move** the pixels of the best choice, to let a larger network **teach**, to distil in the codes
# of a generator, to keep **more** pixels, to train for **longer**; and whether what was seen holds for students that nothing
# was chosen with, at ×4 and at the smallest budget, and on pictures that were never compressed.

# %%
import pandas as pd
import torch
import torch.nn.functional as F

from srdistill.catalogue.photos import photos
from srdistill.images.pictures import to_float
from srdistill.images.resize import downscale
from srdistill.networks import build_network
from srdistill.papers import beyond, dietz
from srdistill.papers.beyond import CROPS, FULL_HARD, FULL_SCALES, HERDED, LARGER, MORE, REFINED, SMALLER, TAUGHT
from srdistill.papers.beyond.shaping.cosine_transform import cosine_matrix
from srdistill.papers.beyond.shaping.set_gradients import gap, set_gradients
from srdistill.study.pages.diagrams import diagram
from srdistill.study.pages.figures import image_rows
from srdistill.study.pages.presentation import Presentation, Question, describe, rows_table, saved
from srdistill.study.rows import ORIGINAL

# %% tags=["parameters"]
profile = ""  # smoke, laptop, desktop, gpu or paper; empty: SRDISTILL_PROFILE, or else laptop
seeds = 0  # number of seeds; 0: the profile's own
data = ""  # a folder of your own training pictures; empty: the profile's

# %%
study, steps, x4, few, draws, clean = (
    beyond.PAPER.open(f"beyond_t{number}", profile=profile, seeds=seeds, data=data) for number in range(7, 13)
)
rows, others = study.rows(), {one.name: one.rows() for one in (steps, x4, few, draws, clean)}
describe(study)

# %% [markdown]
# ## The candidates
#
# * **Refined.** Three quarters of the herded pictures stay as they are. The others, those with the least detail, are moved by
#   gradient matching: two trained networks stay fixed, and the gradients that the whole set gives them are turned towards those
#   of full-size windows, filter by filter. What moves are coefficients of a cosine transform. After each round a judge, of an
#   architecture that took no part, is trained on the set and tested on pictures that were held out; if it is no better than
#   before, the round is undone and the next one takes half the rate.
# * **Taught.** In place of each shrunken picture stands what a larger student, trained on full data, makes of its LR version.
#   Such a set carries more than its own pixels, so it is no rival to the others; it says how much *labels* could bring.
# * **Distilled in codes**, by the method and the rates of `04_latent`, from one inverted picture each (with the high-pass loss:
#   images this small are below what a perceptual distance can look at).
# * **More of them**: the same shrunken pictures with many times the pixels; so further squares of each picture, too.

# %%
saved(study, diagram([
    ["full-size\nwindows", "gradients of two\ntrained networks"],
    ["a quarter of\nthe set, as cosine\ncoefficients", "the whole set's\ngradients"],
], "1 - cosine,\nfilter by filter", "moves the coefficients; a judge keeps the round or not"), "diagram")  # fmt: skip

# %%
theirs = dietz.PAPER.open("dietz_t4", profile=profile, data=data)
side = int((study.plan.budget * study.train.pixels / len(study.train)) ** 0.5) // 8 * 8
inverted = study.row("Inverted", dietz.gan_inversion, **(dietz.inverting(theirs, "highpass") | {"size": side}))
in_codes = dietz.latent(theirs, inverted, dietz.pretrained(theirs)) | {"size": side}
distilled = study.row("Distilled in codes", dietz.latent_matching, **in_codes)
rows |= {row.label: row for row in (inverted, distilled)}
rows_table(rows)

# %%
shown_sets = study.sets(rows[name] for name in (SMALLER, HERDED, REFINED, TAUGHT, "Inverted", "Distilled in codes"))
saved(study, image_rows({name: made.images[:8] for name, made in shown_sets.items()}, [""] * 8), "sets")

# %% [markdown]
# ### From scratch
#
# What refining lowers, in plain torch: a network's gradient on a set and on full-size pictures; for every filter of every layer
# one minus the cosine of the two; the mean of that. (Lengths come in where a filter hardly ever fires: each is divided by the
# longest of its layer, and a millionth is added, so that directions of next to nothing do not count.)

# %%
network = build_network("SRCNN", scale=2, seed=0)
ours = to_float(shown_sets[SMALLER].images[:32])
real = to_float(torch.stack([image[:, :40, :40] for image in study.train.images]))[:32]

found = []
for images in (ours, real):
    F.mse_loss(network(downscale(images, 2)), images).backward()
    found.append([weight.grad.flatten(1) for weight in network.parameters() if weight.ndim > 1])
    network.zero_grad()

apart = []
for mine, full in zip(*found, strict=True):
    mine, full = mine / mine.norm(dim=1).max(), full / full.norm(dim=1).max()
    apart += (1 - (mine * full).sum(1) / (mine.norm(dim=1) * full.norm(dim=1) + 1e-6)).tolist()
by_hand = sum(apart) / len(apart)
library = gap(set_gradients(network, ours, 2), set_gradients(network, real, 2))
assert abs(by_hand - float(library)) < 1e-4, (by_hand, float(library))
print(f"{len(apart)} filters; shrunken pictures and windows of full size: {by_hand:.4f} apart")

# %% [markdown]
# What is moved are coefficients of a cosine transform. It is orthonormal, so a step is as long in pixels as in coefficients,
# and nearly all of a photograph lies in few of them:

# %% tags=["nbval-check-output"]
picture = to_float(photos("test").images[0][:, 100:140, 100:140])
matrix = cosine_matrix(40)
energy = (matrix @ picture @ matrix.T).square().sum(0)
print(f"energy of pixels and of coefficients: {picture.square().sum():.1f}, {energy.sum():.1f}")
for side in (1, 5, 20):
    print(f"in the lowest {side} x {side} of 40 x 40 coefficients: {100 * energy[:side, :side].sum() / energy.sum():.2f} %")

# %% [markdown]
# ### Is it lowered?
#
# The gap of the herded set, and after each round; what the judge says of the set, on held-out pictures; whether the round was
# kept (a dot) or undone (a cross).

# %%
refinings = [study.make_set(rows[REFINED], seed).history for seed in study.seeds]
for seed, history in zip(study.seeds, refinings, strict=True):
    for name, form in (("gap", "{:.3f}"), ("judged", "{:.3f}"), ("kept", "{:.0f}")):
        print(f"seed {seed}, {name:7}", *(form.format(value) for value in history[name]))

# %%
curves = {f"seed {seed}": history for seed, history in zip(study.seeds, refinings, strict=True)}
saved(study, beyond.refining_figure(curves), "refining")

# %% [markdown]
# ## The run

# %%
results = study.run(rows)
more = {one.name: one.run(others[one.name]) for one in (steps, x4, few, draws, clean) if others[one.name]}
print(results, *more.values(), sep="\n")

# %% [markdown]
# ## One budget, ×2
#
# One of the students that settings were chosen with, and one that nothing was chosen with.

# %%
shown = Presentation(study, rows, results)
shown.table()

# %% [markdown]
# Gain over bicubic, PSNR of the luma, dB; means over seeds and over the test sets, each of which counts the same:

# %%
beyond.gains(shown).round(2)

# %%
shown.plot("psnr_y")

# %%
shown.sizes()

# %% [markdown]
# ## More steps
#
# One student, and what it gains when everything is trained for longer.

# %%
longer = Presentation(steps, others[steps.name], more[steps.name])
beyond.gains(longer).round(2)

# %% [markdown]
# ## Architectures that nothing was chosen with, ×4

# %%
at_x4 = Presentation(x4, others[x4.name], more[x4.name])
beyond.gains(at_x4).round(2)

# %% [markdown]
# ## The same at the smallest budget, ×2

# %%
smallest = Presentation(few, others[few.name], more[few.name])
beyond.gains(smallest).round(2)

# %% [markdown]
# ## Draws and trainings
#
# A seed draws the set and trains the student. Which of the two is it that seeds differ by? Every draw with every training, gain
# in dB:

# %%
crossed = Presentation(draws, others[draws.name], more[draws.name])
table = beyond.gains_by_seed(crossed).droplevel("network").rename_axis(columns="training")
table.round(3)

# %%
parts = {}
for name in (SMALLER, HERDED):
    mine = table[table.index.str.startswith(name)]
    parts[name] = {"draws": mine.mean(axis=1).std(), "trainings": mine.mean(axis=0).std()}
pd.DataFrame(parts).T.rename_axis("standard deviation of means over").round(3)

# %% [markdown]
# ## Clean pictures
#
# BSDS200, most of the training pictures, are JPEG files, and part of what shrinking does may be to clean. So the same with
# crops of DIV2K, which never were (`desktop`: 16 of 512 px). As there are few, sets of them have nine percent of their pixels.

# %%
on_clean = Presentation(clean, others[clean.name], more[clean.name]) if others[clean.name] else None
beyond.gains(on_clean).round(2) if on_clean else print(f"{clean.plan.clean}: not at hand, and nobody offers it; left out here")

# %% [markdown]
# ## The claims, checked
#
# Every question is about all 35 test pictures, each of which counts the same; in the tables of gains above test sets do.

# %%
luma, times = {"metric": "psnr_y"}, f", {study.plan.longer} x steps"
shown.check([
    Question("refined-{network}", "{network}: refining beats the herded pictures it starts from", REFINED, HERDED, **luma),
    Question("refined-plain-{network}", "{network}: refined pictures beat shrunken ones as they are", REFINED, SMALLER, **luma),
    Question("taught-{network}", "{network}: a teacher's images beat the shrunken pictures that they were made of", TAUGHT,
             SMALLER, **luma),
    Question("taught-full-{network}", "{network}: a teacher's images beat the best full data", TAUGHT, FULL_SCALES, **luma),
    Question("codes-{network}", "{network}: distilling codes beats the inversion it starts from", distilled.label,
             inverted.label, **luma),
    Question("codes-plain-{network}", "{network}: shrunken pictures beat distilled codes", SMALLER, distilled.label, **luma),
    Question("more-{network}", f"{{network}}: {100 * study.plan.most:g} % of the pixels beat {100 * study.plan.budget:g} %",
             MORE, SMALLER, **luma),
    Question("more-full-{network}", f"{{network}}: {100 * study.plan.most:g} % beat the best full data", MORE, FULL_SCALES,
             **luma),
], results.networks)  # fmt: skip

# %%
least = f"{100 * min(study.plan.budgets):g} %"
near = "shrunken pictures are within 0.1 dB of the best full data, or better"
longer.check([
    Question("longer-best-{network}", f"{{network}}{times}: full data at several scales beats it as it is",
             f"{FULL_SCALES}{times}", f"{ORIGINAL}{times}", **luma),
    Question("longer-hard-{network}", f"{{network}}{times}: hard windows beat full data as it is", f"{FULL_HARD}{times}",
             f"{ORIGINAL}{times}", **luma),
    Question("overtakes-{network}", f"{{network}}{times}: the best full data overtakes shrunken pictures",
             f"{FULL_SCALES}{times}", f"{SMALLER}{times}", **luma),
    Question("longer-near-{network}", f"{{network}}{times}: {near}",
             f"{SMALLER}{times}", f"{FULL_SCALES}{times}", line=-0.1, **luma),
], more[steps.name].networks)  # fmt: skip

# %%
at_x4.check([
    Question("near-{network}", f"{{network}}, ×4: {near}", LARGER, FULL_SCALES, line=-0.1, **luma),
], more[x4.name].networks)  # fmt: skip

# %%
smallest.check([
    Question("near-{network}", f"{{network}}, {least}: {near}", f"{SMALLER}, {least}", FULL_SCALES, line=-0.1, **luma),
], more[few.name].networks)  # fmt: skip

# %%
on = "{network}, clean pictures"
asked = [
    Question("clean-crops-{network}", f"{on}: shrunken ones beat crops of full size", LARGER, CROPS, **luma),
    Question("clean-full-{network}", f"{on}: shrunken ones beat full data as it is", LARGER, ORIGINAL, **luma),
    Question("clean-near-larger-{network}", f"{on}: larger {near}", LARGER, FULL_SCALES, line=-0.1, **luma),
    Question("clean-near-{network}", f"{on}: smaller {near}", SMALLER, FULL_SCALES, line=-0.1, **luma),
]
on_clean.check(asked, more[clean.name].networks) if on_clean else None

# %% [markdown]
# ## What we saw
#
# This page shows the `desktop` run.
#
# * **A teacher helps, and little else does.** What EDSR 8 x 32, trained on all pictures, makes of the shrunken ones trains
#   both students better than the shrunken ones themselves, and better than the best full data does in as many steps. But it
#   has to be trained first, on everything.
#
# * **Refining lowers what it is to lower, and nothing follows.** The first round halves the gap of gradients for every
#   seed; the judge, who sees about a hundredth of a decibel, keeps rounds for two seeds of three and none for the third;
#   students gain nothing. So that gap is not what the students lack.
#
# * **Codes lose.** The inversion of pictures this small is behind shrunken pictures, and distilling does not bring it back.
#
# * **More pixels**, nine times as many, bring FSRCNN nothing in as many steps; for EDSR it is open. **More steps** are what
#   full data needs: at four times as many it is level with shrunken pictures, or a little ahead, at one scale as at several;
#   hard windows stay far behind.
#
# * **Other architectures** agree with `12_beyond`: at ×4, and at the smallest budget at ×2, means of shrunken pictures are
#   above those of the best full data; for FSRCNN at ×4 the interval leaves it open. The transformer gains most from them.
#
# * **Draws and trainings** move a mean of three by two hundredths of a decibel, each: methods that are nearer to each other
#   than that are not told apart by three seeds.
#
# * **On clean pictures shrinking loses its lead.** Of crops of DIV2K, which never were JPEG files, shrunken squares train
#   EDSR worse than full data does, at one scale or several, and cannot be told from crops of full size. So what shrinking does
#   in all other tables may be, in part, to average the traces of compression away; or these pictures are sharp enough at full
#   size. The two were not told apart. How it goes with hundreds of clean pictures is not known here.

# %% [markdown]
# ## Exercises
#
# 1. Let all images move: `moving=1.0` in `study.plan.refining`. *Hint:* `dataclasses.replace`; does the gap fall
#    further, and does the judge see it?
# 2. Half a teacher: `taught` with `share=0.5`; or another one, `teacher=study.student(rows[FULL_SCALES], "RCAN", seed=0)`.
#    *Hint:* a teacher no better than the student can only blur.

# %%
shown.save()

# %%
for presented in filter(None, (longer, at_x4, smallest, crossed, on_clean)):
    print(*presented.save(), sep="\n")
