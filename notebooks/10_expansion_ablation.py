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
# **Paper.** *Diffusion-augmented coreset expansion for scalable dataset distillation*, tables 3 and 4, figures 4 and 5.
#
# **Its claims.** Each part helps: *"the best performance is achieved when super-resolution, augmentation, and latent mixup
# are incorporated during training"*. And smaller patches, but more of them, help as well: *"we consistently outperform RDED
# at all values of r, and our performance continues to improve as the patch count increases"*, at the price of time.
#
# **Our question.** What do the labels cost? Every picture of every epoch needs one from the teacher, and smaller patches mean
# more pictures. The paper counts patches only.

# %%
from srdistill.study.published import printed_table

printed_table("coreset_t4")

# %%
printed_table("coreset_t3")

# %% [markdown]
# Generating pictures from the class name alone is as good as RDED in the paper's own table: what helps is the anchor, a real
# patch to start from.

# %% tags=["nbval-check-output"]
from srdistill.study.published import RDED, printed_rows

printed = printed_rows("coreset_t4").set_index(["row", "testset"]).value
for row in dict.fromkeys(row for row, _ in printed.index):
    gains = [f"{testset} {printed[row, testset] - printed[RDED, testset]:+.1f}" for testset in ("imagewoof", "imagenette")]
    print(f"{row:30} against RDED: {', '.join(gains)}")

# %% tags=["parameters"]
profile = ""  # smoke, laptop, gpu or paper; empty: SRDISTILL_PROFILE, or else laptop
seeds = 0  # number of seeds; 0: the profile's own
data = ""  # a folder of your own pictures, train/<class> and val/<class> inside; empty: the profile's

# %%
from srdistill.study.coreset_study import CoresetStudy, OfCell
from srdistill.study.describe import describe

study, sizes = (CoresetStudy(table, profile=profile, seeds=seeds, data=data) for table in ("coreset_t4", "coreset_t3"))
describe(study)

# %% [markdown]
# ## How much noise: $\rho$
#
# An expansion noises the code of an enlarged patch up to a share $\rho$ of the diffusion time and denoises it again. With a
# sampler of five steps, as SDXL-Turbo's, only whole steps can be taken, the last $\lfloor 5\rho \rfloor$ of them. So there
# are five settings, not a continuum: the $\rho = 0.4$ of the paper's text and the $\rho = 0.5$ of its table are one, and
# below 0.2 nothing would happen.

# %% tags=["nbval-check-output"]
from srdistill.diffusion.strength import denoising_steps, distinct_settings

for setting in distinct_settings(5):
    print(f"rho from {setting.rho:.1f}: {setting.steps} steps from time {setting.time}, "
          f"{100 * setting.abar:.1f} % of the signal's energy left")  # fmt: skip
print("steps at rho 0.4 and 0.5:", denoising_steps(5, 0.4), denoising_steps(5, 0.5))

# %% [markdown]
# What $\rho$ does to a patch (the paper's figure 4): a patch of each class enlarged, then expanded from one seed.

# %%
from srdistill.diffusion.engine import expand, interpolated
from srdistill.images.pictures import to_uint8
from srdistill.papers.coreset.coreset_patches import coreset_patches, random_coreset
from srdistill.study.figures import image_rows
from srdistill.study.save import save_figure

SELECTED, RANDOM = "Selected patches", "Random patches"
task, engine = study.tasks[0], study.engine(study.tasks[0])
classes = task.train.classes
names = [name.replace("_", "\n").replace(" ", "\n") for name in classes]
selected = study.coreset_row(1, f"{SELECTED}, enlarged", coreset_patches, **study.selected(1))
patches = study.make_set(selected, seed=0)
first = patches.images.unflatten(0, (len(classes), -1))[:, 0]
labels, draws = patches.labels.unflatten(0, (len(classes), -1))[:, 0], list(range(len(classes)))
shown = {"enlarged": to_uint8(interpolated(first, task.train.size))}
shown |= {
    f"rho {setting.rho:.1f}": expand(engine, first, labels, draws, rho=setting.rho, size=task.train.size)
    for setting in distinct_settings(engine.steps)
}
figure = image_rows(shown, names, shown=len(classes))
save_figure(study, figure, "rho")
figure

# %% [markdown]
# How much of it is still the picture? For all selected patches, the share of expanded pictures that the teacher gives to the
# patch's class:

# %%
import pandas as pd

from srdistill.training.teacher_logits import teacher_logits

teacher, _ = study.teacher(task, study.networks[0])


def agreement(images) -> float:
    """Share in percent of the selected patches' pictures that the teacher gives to their own class."""
    found = teacher_logits(teacher, images, classes=len(classes), device=study.device).argmax(1)
    return 100 * (found == patches.labels).double().mean().item()


every = list(range(len(patches)))
kept = {"enlarged": agreement(to_uint8(interpolated(patches.images, task.train.size)))}
kept |= {
    f"rho {setting.rho:.1f}": agreement(
        expand(engine, patches.images, patches.labels, every, rho=setting.rho, size=task.train.size)
    )
    for setting in distinct_settings(engine.steps)
}
pd.DataFrame({"teacher sees the patch's class, %": kept}).round(0)

# %% [markdown]
# ## The parts (table 4)
#
# One picture's worth of pixels per class. *Only text*: from noise and the class, no patch. *Superres*: little noise, the same
# picture in every epoch. *Aug*: much noise, a new picture every epoch. *Mixup*: two patches of a class mixed before the
# noise. As controls the same patches enlarged without diffusion, and random patches with all parts.

# %%
from srdistill.papers.coreset.collages import collages
from srdistill.papers.coreset.expansion import ABLATION

PARTS = {
    "text": "Only text cond.",
    "superres": "Superres (rho=0.5)",
    "superres+aug": "Superres+Aug (rho=0.8)",
    "superres+aug+mixup": "Superres+Aug+Mixup (rho=0.8)",
}
r = study.plan.factor
size = OfCell(lambda task, network: task.train.size)


def rded(study, label: str, patches, factor: int):
    """RDED's row: collages of the selected patches, their cells shuffled in training."""
    shuffled = {"collage": factor, "crop_scale": (1 / factor, 1.0)}
    return study.coreset_row(1, label, collages, patches=patches, size=size, training=shuffled)


rows = [rded(study, RDED, selected, r)]
rows += [
    study.coreset_row(1, name, coreset_patches, expansion=ABLATION[part], **study.selected(1)) for part, name in PARTS.items()
]
whole = PARTS["superres+aug+mixup"]
rows += [
    selected,
    study.coreset_row(1, f"{RANDOM}, enlarged", random_coreset, ipc=1, factor=r),
    study.coreset_row(1, f"{RANDOM}, {whole}", random_coreset, expansion=ABLATION["superres+aug+mixup"], ipc=1, factor=r),
]
results = study.run(rows)
print(f"{results.computed} students trained in this run; all of them took {results.seconds / 60:.1f} minutes")
results.failures or "no failures"

# %%
from srdistill.study.tables import long_table, per_seed, show, wide_table

long = long_table(study, results)
show(wide_table(long))

# %%
from srdistill.study.figures import score_plot

scores = per_seed(study, results)
figure = score_plot(scores, "accuracy", task.name, [row.label for row in rows], "top-1 accuracy, %")
save_figure(study, figure, "accuracy")
figure

# %% [markdown]
# ## The size of patches (table 3 and figure 5)
#
# The same pixels cut finer: $r^2$ patches of $1/r$ of the side for each picture. An epoch then has $r^2$ times as many
# pictures to make, to label and to train on.

# %%
expansion = ABLATION["superres+aug+mixup"]
finer = {}
for factor in sizes.plan.factors:
    chosen = sizes.coreset_row(1, f"patches, r = {factor}", coreset_patches, **sizes.selected(1, factor))
    finer[factor] = [
        sizes.coreset_row(1, f"r = {factor}", coreset_patches, expansion=expansion, **sizes.selected(1, factor)),
        rded(sizes, f"RDED, r = {factor}", chosen, factor),
    ]
ordered = [pair[which] for which in (0, 1) for pair in finer.values()]
finer_results = sizes.run(ordered)
print(f"{finer_results.computed} students trained in this run; all of them took {finer_results.seconds / 60:.1f} minutes")
finer_results.failures or "no failures"

# %%
finer_long = long_table(sizes, finer_results)
show(wide_table(finer_long, sizes.table))

# %%
from srdistill.papers.coreset.figures import factor_figure

finer_scores = per_seed(sizes, finer_results)
methods = {"ours": "r = {}", "RDED": "RDED, r = {}"}
figure = factor_figure(finer_scores, sizes.plan.factors, methods, sizes.networks[0], task.train.size)
save_figure(sizes, figure, "factor")
figure

# %% [markdown]
# ## What is stored
#
# The budget of the paper's tables is patches. Beside them a student needs the soft labels of every picture of every epoch
# (two bytes for each class), and the diffusion model. Shares are of the training pictures as PNG files. At the paper's own
# scale, with 300 epochs, the labels of ImageNet-1k at 10 pictures per class alone take 24 GB, sixteen times the bytes of
# those pictures.

# %%
from srdistill.papers.coreset.figures import storage_table

storage_table(sizes, ordered, finer_scores)

# %% [markdown]
# ## The claims, checked

# %%
from srdistill.study.claims import claims_table, difference_claim

network = study.networks[0]
best = "the best performance is achieved when super-resolution, augmentation, and latent mixup are incorporated during training"
shared = {"network": network, "metric": "accuracy", "unit": "points", "printed_network": "ResNet-18"}
text, superres, aug, mixup = PARTS.values()
claims = [
    difference_claim(study, scores, name=name, first=ours, second=theirs, sentence=sentence, statement=statement, **shared)
    for name, ours, theirs, sentence, statement in (
        ("text", text, RDED, "", "pictures from the class alone are better than RDED"),
        ("superres", superres, RDED, best, "super-resolution is better than RDED"),
        ("augmentation", aug, superres, best, "augmentation adds to super-resolution"),
        ("mixup", mixup, aug, best, "mixup adds to augmentation"),
        ("anchor", mixup, text, "", "all parts are better than the class alone"),
        ("diffusion", mixup, selected.label, "", "all parts are better than the same patches enlarged"),
        ("selection", mixup, f"{RANDOM}, {whole}", "", "selected patches are better than random ones, with all parts"),
    )
]
claims_table(claims)

# %%
consistent = "we consistently outperform RDED at all values of r"
improves = "our performance continues to improve as the patch count increases"
factors = sizes.plan.factors
finer_claims = [
    difference_claim(sizes, finer_scores, name=f"rded-r{factor}", first=f"r = {factor}", second=f"RDED, r = {factor}",
                     sentence=consistent, statement=f"r = {factor}: ours beats RDED", **shared)
    for factor in factors
]  # fmt: skip
finer_claims += [
    difference_claim(sizes, finer_scores, name=f"finer-r{fine}", first=f"r = {fine}", second=f"r = {coarse}",
                     sentence=improves, statement=f"r = {fine} is better than r = {coarse}", **shared)
    for coarse, fine in zip(factors, factors[1:], strict=False)
]  # fmt: skip
claims_table(finer_claims)

# %% [markdown]
# ## What we saw
#
# Laptop profile, three seeds, eleven photographs as classes (chance 9 %), one picture's pixels per class:
#
# * **The anchor matters, as in print**: pictures from the class alone are no better than RDED (48 against 52 %, open), those
#   that start from a patch are 12 to 16 points better than RDED.
# * **The parts hardly differ here**: more noise and a new picture every epoch add 4 points, mixup takes 0.1, both within the
#   seeds. In print augmentation adds 8 and mixup 4 points.
# * Enlarging the patches without any diffusion gives 62 %, random patches enlarged 70 %: as good as all parts together (68
#   %).
# * The teacher still sees a patch's class in 89 % of the pictures at $\rho = 0.4$, in 59 % at 0.8 and in 41 % at 1.0. So a
#   good part of what students learn at 0.8 are soft labels of pictures that have left their class, which seems to do no harm.
# * **Finer patches do not help here**: 68.2, 67.9 and 67.6 % for r = 2, 3, 4, at 2.5 and 4.3 times the time. Ours is ahead of
#   RDED at all three, at r = 3 with an interval that holds zero. But here, too, an epoch of RDED has eleven pictures and ours
#   44, 99 and 176 (see notebook 09).
# * **Labels outweigh the patches**: two and a half times their bytes at r = 2, six times at r = 4, after only 50 epochs. With
#   the diffusion model a "1 %" coreset takes more room than all training pictures; that is a small data set's fate, but on
#   ImageNet-1k, too, the labels alone do (see above).
# * Seconds per epoch are those of two CPU cores; printed are those of four GPUs and SDXL-Turbo.

# %%
from srdistill.study.save import save_table

save_table(study, results, long, "Coreset, table 4: the parts of the expansion", claims)

# %%
save_table(sizes, finer_results, finer_long, "Coreset, table 3 and figure 5: the size of patches", finer_claims)
