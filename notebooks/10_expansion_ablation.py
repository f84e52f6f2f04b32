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
# # Coreset tables 3 and 4: what the expansion is made of
#
# **In three lines.** Smaller patches, but more of them, help, as the paper says; RDED gains as much on as many pictures. No
# part of the expansion is told from nothing by itself, mixup least; without any patch students are behind. With labels and
# diffusion model a coreset takes many times what its pixels suggest.
#
# **Paper.** Abbasi et al., [*Diffusion-augmented coreset expansion for scalable dataset
# distillation*](https://arxiv.org/abs/2412.04668), tables 3 and 4, figures 3 to 5.
#
# **Its claims.** Each part helps: *"the best performance is achieved when super-resolution, augmentation, and latent mixup
# are incorporated during training"*. And smaller patches, but more of them, help as well: *"we consistently outperform RDED
# at all values of r, and our performance continues to improve as the patch count increases"*, at the price of time.
#
# **Our question.** What do the labels cost? Every picture of every epoch needs one from the teacher, and smaller patches mean
# more pictures. The paper counts patches only.

# %%
import pandas as pd
import torch

from srdistill.diffusion.engine import expand, interpolated
from srdistill.diffusion.latent_engine import LatentDiffusionEngine
from srdistill.diffusion.schedule import denoising_steps, distinct_settings
from srdistill.images.pictures import to_float, to_uint8
from srdistill.papers import coreset
from srdistill.papers.coreset import RANDOM, RDED, SELECTED
from srdistill.study.pages.presentation import Presentation, Question, describe, saved
from srdistill.study.pages.published import printed_table
from srdistill.training.teacher_logits import teacher_logits

printed_table("coreset_t4")

# %%
printed_table("coreset_t3")

# %% [markdown]
# In the paper's own table, pictures from the class name alone and RDED each win on one of the two data sets, by little, and
# *Superres* is ahead of both on one of them only. What helps on both is a real patch to start from, with a new picture in every
# epoch.

# %% tags=["nbval-check-output"]
printed = coreset.printed("coreset_t4").set_index(["row", "testset"]).value
for row in dict.fromkeys(row for row, _ in printed.index):
    gains = [f"{testset} {printed[row, testset] - printed[RDED, testset]:+.1f}" for testset in ("imagewoof", "imagenette")]
    print(f"{row:30} against RDED: {', '.join(gains)}")

# %% tags=["parameters"]
profile = ""  # smoke, laptop, desktop, gpu or paper; empty: SRDISTILL_PROFILE, or else laptop
seeds = 0  # number of seeds; 0: the profile's own
data = ""  # a folder of your own pictures, train/<class> and val/<class> inside; empty: the profile's

# %%
study, sizes = (coreset.PAPER.open(table, profile=profile, seeds=seeds, data=data) for table in ("coreset_t4", "coreset_t3"))
rows = study.rows()
describe(study)

# %% [markdown]
# ## How much noise: $\rho$
#
# An expansion noises the code of an enlarged patch up to a share $\rho$ of the diffusion time and denoises it again. With a
# sampler of five steps, as SDXL-Turbo's, only whole steps can be taken, the last $\lfloor 5\rho \rfloor$ of them. So there
# are five settings, not a continuum: the $\rho = 0.4$ of the paper's text and the $\rho = 0.5$ of its table are one, and
# below 0.2 nothing would happen.

# %% tags=["nbval-check-output"]
for setting in distinct_settings(5):
    print(f"rho from {setting.rho:.1f}: {setting.steps} steps from time {setting.time}, "
          f"{100 * setting.abar:.1f} % of the signal's energy left")  # fmt: skip
print("steps at rho 0.4 and 0.5:", denoising_steps(5, 0.4), denoising_steps(5, 0.5))

# %% [markdown]
# What $\rho$ does to a patch (the paper's figure 4): a patch of each class enlarged, then expanded from one seed.

# %%
train, engine = study.dataset.train, study.open(coreset.engine(study, study.dataset.name))
selected = f"{SELECTED}, enlarged"
patches = study.make_set(rows[selected])
strengths = [setting.rho for setting in distinct_settings(engine.steps)]


def at_every_rho(images, labels) -> dict:
    """Patches enlarged, and expanded at every rho, the same seed for the same place."""
    made = {"enlarged": to_uint8(interpolated(images, train.size))}
    seeds = list(range(len(images)))
    return made | {f"rho {rho:.1f}": expand(engine, images, labels, seeds, rho=rho, size=train.size) for rho in strengths}


of_each_class = at_every_rho(coreset.ranked(patches)[0], patches.labels.unique())
saved(study, coreset.class_columns(train.classes, of_each_class), "rho")

# %% [markdown]
# How much of it is still the picture? For all selected patches, the share of expanded pictures that the teacher gives to the
# patch's class:

# %%
teacher = study.open(study.teacher(study.dataset.name, study.networks[0]))
kept = {}
for name, images in at_every_rho(patches.images, patches.labels).items():
    found = teacher_logits(teacher, images, classes=len(train.classes), device=study.device).argmax(1)
    kept[name] = 100 * (found == patches.labels).double().mean().item()
pd.DataFrame({"teacher sees the patch's class, %": kept}).round(0)

# %% [markdown]
# ### From scratch
#
# One patch at $\rho = 0.4$ in plain torch: the last two of five steps, each at the time at which as much of the signal is left
# as in SDXL-Turbo's. In a step the model says what of the code is noise. Without it stands what the clean code would be; to
# that some noise is added again, less than before: in part the predicted one, in part a new draw (DDIM with $\eta = 1$). All
# draws come from the picture's own seed. (SDXL-Turbo, which the `paper` profile takes, does these steps in diffusers.)

# %%
def by_hand(model, prior, patch: torch.Tensor, label: torch.Tensor, seed: int, side: int) -> torch.Tensor:
    """A patch (3, h, h) as a picture (1, 3, side, side), expanded at rho = 0.4."""
    turbo = (1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2).cumprod(0)
    own = (1 - torch.linspace(0.0001, 0.02, 1000, dtype=torch.float64)).cumprod(0)
    times = [int((own - turbo[time]).abs().argmin()) for time in (399, 199)]
    signal = [*own[times].tolist(), 1.0]
    draw = torch.Generator().manual_seed(seed)
    noise = lambda: torch.randn(1, model.channels, model.side, model.side, generator=draw).to(study.device)  # noqa: E731
    code = model.to_latents(prior.encode(interpolated(patch[None], side).to(study.device)))
    code = signal[0] ** 0.5 * code + (1 - signal[0]) ** 0.5 * noise()
    for time, here, there in zip(times, signal, signal[1:], strict=False):
        said = model(code, torch.tensor([time]).to(study.device), label[None].to(study.device))[:, : model.channels]
        clean = ((code - (1 - here) ** 0.5 * said) / here**0.5).clamp(-4, 4)
        said = (code - here**0.5 * clean) / (1 - here) ** 0.5
        new = (1 - there) / (1 - here) * (1 - here / there)
        code = there**0.5 * clean + (1 - there - new) ** 0.5 * said
        if there < 1:
            code = code + new**0.5 * noise()
    return to_uint8(prior.decode(model.to_codes(code))).cpu()

# %% [markdown]
# The same patch by the library, without guidance:

# %%
if isinstance(engine, LatentDiffusionEngine):
    side = engine.working_size
    unguided = LatentDiffusionEngine(engine.model, engine.prior, working_size=side, guidance=1.0, device=study.device)
    one, label = patches.images[0], patches.labels[0]
    made = expand(unguided, one[None], label[None], [7], rho=0.4, size=side)
    with torch.no_grad():
        levels = (by_hand(engine.model, engine.prior, one, label, 7, side).int() - made.int()).abs().max().item()
    print(f"largest difference from the library's picture: {levels} of 255 levels")
    assert levels <= 1

# %% [markdown]
# ### Mixup of codes (the paper's figure 3)
#
# Before the noise the code of a patch is mixed with that of another one of its class,
# $\gamma \hat z_1 + (1 - \gamma) \hat z_2$. Below, the first two patches of each class, expanded at $\rho = 0.4$ from one
# seed; last, the two mixed as pictures.

# %%
ranks, classes = coreset.ranked(patches), patches.labels.unique()
first, second = (engine.encode(rank) for rank in ranks[:2])
seeds, mixes = list(range(len(classes))), {}
for gamma in (1.0, 0.75, 0.5, 0.25, 0.0):
    mixed = gamma * first + (1 - gamma) * second
    mixes[f"gamma {gamma:g}"] = engine.denoise(mixed, classes, seeds, rho=0.4, size=train.size)
mixes["as pictures, 0.5"] = to_uint8((to_float(mixes["gamma 1"]) + to_float(mixes["gamma 0"])) / 2)
saved(study, coreset.class_columns(train.classes, mixes), "mixup")

# %% [markdown]
# Which of them still show their class? Each patch with the next one of its class, the share that the teacher gives to it; and
# the variance of the mixed codes, which are of unit variance by themselves:

# %%
codes, partners = engine.encode(patches.images), engine.encode(ranks.roll(-1, 0).transpose(0, 1).flatten(0, 1))
seen = {}
for gamma in (1.0, 0.75, 0.5):
    mixed = gamma * codes + (1 - gamma) * partners
    made = engine.denoise(mixed, patches.labels, list(range(len(mixed))), rho=0.4, size=train.size)
    found = teacher_logits(teacher, made, classes=len(train.classes), device=study.device).argmax(1)
    share = 100 * (found == patches.labels).double().mean().item()
    seen[f"gamma {gamma:g}"] = {"teacher sees the class, %": share, "variance of codes": mixed.var().item()}
pd.DataFrame(seen).T.round(2)

# %% [markdown]
# ## The parts (table 4)
#
# One picture's worth of pixels per class. *Only text*: from noise and the class, no patch. *Superres*: little noise, the same
# picture in every epoch. *Aug*: much noise, a new picture every epoch. *Mixup*: two patches of a class mixed before the
# noise. As controls the same patches enlarged without diffusion, random patches enlarged, random patches with all parts, and
# RDED on as many pictures as ours see.

# %%
results = study.run(rows)
print(results)

# %%
shown = Presentation(study, rows, results)
shown.table()

# %%
shown.plot("accuracy")

# %% [markdown]
# ## The size of patches (table 3 and figure 5)
#
# The same pixels cut finer: $r^2$ patches of $1/r$ of the side for each picture. An epoch then has $r^2$ times as many
# pictures to make, to label and to train on. As seconds are part of this table, its students are trained one at a time.

# %%
finer = sizes.rows()
finer_results = sizes.run(finer)
print(finer_results)

# %%
finer_shown = Presentation(sizes, finer, finer_results)
finer_shown.table()

# %%
factors, methods = sizes.plan.factors, {"ours": "r = {}", "RDED": "RDED, r = {}"}
figure = coreset.factor_figure(finer_shown.scores, factors, methods, sizes.networks[0], sizes.dataset.train.size)
saved(sizes, figure, "factor")

# %% [markdown]
# ## What is stored
#
# The budget of the paper's tables is patches. Beside them a student needs the soft labels of every picture of every epoch
# (two bytes for each class), and the diffusion model. Shares are of the training pictures as PNG files; in the column *labels,
# of the pictures*, of the row's own pictures or patches.

# %%
coreset.storage_table(sizes, list(finer.values()), finer_shown.scores)

# %% [markdown]
# At the paper's own scale: ImageNet-1k at 10 pictures of 224 px per class, r = 2, 300 epochs. The archive of all training
# pictures has 147.9 GB.

# %% tags=["nbval-check-output"]
labels = 1000 * 10 * 2**2 * 300 * 1000 * 2
pixels = 1000 * 10 * 3 * 224**2
print(f"labels {labels / 1e9:.1f} GB, {labels / pixels:.0f} times the raw pixels of the coreset ({pixels / 1e9:.1f} GB), "
      f"{labels / 147.9e9:.0%} of the archive")  # fmt: skip

# %% [markdown]
# ## The claims, checked

# %%
best = "the best performance is achieved when super-resolution, augmentation, and latent mixup are incorporated during training"
shared = {"metric": "accuracy", "unit": "points", "printed_network": "ResNet-18"}
text, superres, aug, mixup = coreset.PRINTED_PARTS.values()
questions = [
    Question("text", "pictures from the class alone are better than RDED", text, RDED, **shared),
    Question("superres", "super-resolution is better than RDED", superres, RDED, best, stand_in="engine", **shared),
    Question("superres-longer", "super-resolution is better than RDED on as many pictures", superres,
             f"{RDED}, as many pictures", **shared),
    Question("augmentation", "augmentation adds to super-resolution", aug, superres, best, stand_in="engine", **shared),
    Question("mixup", "mixup adds to augmentation", mixup, aug, best, stand_in="engine", **shared),
    Question("anchor", "all parts are better than the class alone", mixup, text, **shared),
    Question("diffusion", "all parts are better than the same patches enlarged", mixup, selected, **shared),
    Question("selection", "selected patches are better than random ones, with all parts", mixup, f"{RANDOM}, {mixup}",
             **shared),
]  # fmt: skip
shown.check(questions, study.networks[:1])

# %%
consistent = "we consistently outperform RDED at all values of r"
improves = "our performance continues to improve as the patch count increases"
finer_questions = [
    Question(f"rded-r{r}", f"r = {r}: ours beats RDED", f"r = {r}", f"{RDED}, r = {r}", consistent, stand_in="engine", **shared)
    for r in factors
]
finer_questions += [
    Question(f"rded-longer-r{r}", f"r = {r}: ours beats RDED on as many pictures", f"r = {r}",
             f"{RDED}, as many pictures, r = {r}", **shared)
    for r in factors
]  # fmt: skip
finer_questions += [
    Question(f"finer-r{fine}", f"r = {fine} is better than r = {coarse}", f"r = {fine}", f"r = {coarse}", improves,
             stand_in="engine", **shared)
    for coarse, fine in zip(factors, factors[1:], strict=False)
]
finer_shown.check(finer_questions, sizes.networks[:1])

# %% [markdown]
# ## What we saw
#
# The claims above are the finding, verdict by verdict; where one has *no power*, its gate says why this run could not have
# told. This page shows the `desktop` run: ImageNette at 64 px, 300 pictures of each class to train on and 100 to test on, the
# teacher of `09_coreset_expansion`, and a latent diffusion transformer that was trained on the same pictures on one core of a
# CPU. It is no SDXL-Turbo, so what it finds of the paper's own sentences is no evidence against them; questions about this
# engine, and about rows without one, it answers. The `laptop` profile shows the same steps with photographs as classes.
#
# * **Smaller patches, but more of them, help, as the paper says**: with r = 3 students do clearly better than with r = 2. But
#   RDED gains as much from it, if it is trained on as many pictures: what helps is the number of patches, and that costs the
#   students' time.
#
# * **At equal r and on as many pictures ours is four points ahead of RDED**, with intervals that just hold zero; in table 1,
#   with one picture per class, the two cannot be told apart: there RDED has its own factor 1, whole pictures in place of small
#   cells (`09_coreset_expansion`).
#
# * **No part is told from nothing by itself.** Much noise with new pictures in every epoch, which the row *Aug* changes
#   together, brings four points, with an interval that just holds zero. Little noise and one picture per patch is no better
#   than the patch enlarged, and mixup adds nothing: in the pictures above a mix of codes looks much like a mix of pictures,
#   paler and with both subjects in it. Pictures from the class alone, without any patch, are behind all parts together, by five
#   points, where print has them behind by 16.
#
# * **How far the engine can be trusted**: up to a rho of 0.4 pictures keep their subject, as a reader and the teacher see them;
#   at 0.8, where the paper works, the teacher gives half of them to another class. That students learn from such pictures at
#   all is the soft labels' doing.
#
# * **Labels and diffusion model outweigh the patches.** With labels and diffusion model a coreset takes many times what its
#   pixels suggest, as the table above says; on ImageNet-1k the labels alone are many times the coreset, if less than all
#   training pictures.
#
# * Seconds per epoch are those of a CPU core; printed are those of four GPUs and SDXL-Turbo.

# %% [markdown]
# ## Exercises
#
# 1. How large would the labels be in eight bits? *Hint:* the table of what is stored has their bytes; the teacher's logits
#    are kept in half precision, two bytes for each class.
# 2. Find the $\rho$ at which a picture is another picture. *Hint:* the strip of $\rho$ above; let the teacher, not the eye,
#    decide.

# %%
shown.save()

# %%
finer_shown.save()
