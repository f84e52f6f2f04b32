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
# # Coreset tables 1 and 2: a coreset of patches, expanded by a diffusion model
#
# **In three lines.** Expanded patches beat RDED and SRe2L, as printed, where their students see four times as many pictures
# in an epoch; on as many pictures RDED is level or ahead. Random patches with the same soft labels are as good. Of the four
# methods that learn their pictures and lead in print, IDM alone is level here; at ten pictures per class MTT is, too.
#
# **Paper.** Abbasi et al., [*Diffusion-augmented coreset expansion for scalable dataset
# distillation*](https://arxiv.org/abs/2412.04668), tables 1 and 2, figure 2. This is classification: how well does a network do
# that was trained on 1, 10 or 50 pictures per class?
#
# **Its claim.** RDED keeps, for each class, the small patches that a trained teacher is surest of, and packs them into
# collages. Keeping the patches single, and letting a diffusion model turn each into a new full-size picture in every epoch,
# gives more: *"our approach is either superior or on par with the baselines"*.
#
# **Our question.** Both students also learn from the teacher's soft labels for every picture of every epoch, and the teacher
# has seen all pictures. Random *pictures* with soft labels are known to come close to distilled sets (Qin et al., *A label is
# worth a thousand images in dataset distillation*, 2024; Dey et al., *Rethinking dataset distillation: hard truths about soft
# labels*, 2026). What would random *patches* give here, with the same soft labels, with and without the same diffusion? The
# paper has no such row.

# %%
from dataclasses import replace

import pandas as pd
import torch
import torch.nn.functional as F

from srdistill.diffusion.engine import interpolated
from srdistill.images.labelled import LabelledPictures
from srdistill.images.pictures import to_float, to_uint8
from srdistill.images.resized_crops import draw_boxes
from srdistill.papers import coreset
from srdistill.papers.coreset import (
    DATM,
    GVBSM,
    IDM,
    MTT,
    OURS,
    RANDOM,
    RDED,
    SELECTED,
    SRE2L,
    TESLA,
    WHOLE,
)
from srdistill.papers.coreset.expanding.coreset_patches import padded
from srdistill.seeds import generator_for
from srdistill.study.pages.diagrams import diagram
from srdistill.study.pages.presentation import Presentation, Question, describe, saved
from srdistill.study.pages.published import printed_table
from srdistill.training.classification import soft_label_loss

printed_table("coreset_t1")

# %%
printed_table("coreset_t2")

# %% [markdown]
# (A question mark says here that the number is read, but its method is a guess: the copy of the paper at hand does not mark
# blank cells, and in the lines of ImageWoof and ImageNette at 50 pictures a class, and of ImageNet-1k at one, five methods have
# three numbers between them.)
#
# *"Superior or on par"*: in the paper's own numbers, the method is behind with these students, by so many points.

# %% tags=["nbval-check-output"]
for table in ("coreset_t1", "coreset_t2"):
    lines = coreset.printed(table).dropna(subset="value").set_index(["row", "network", "testset"]).value
    for (row, network, testset), value in lines.items():
        ipc = row.rpartition(", ")[2]
        ours = lines.get((f"{OURS}, {ipc}", network, testset), float("nan"))
        if ours < value:
            name = row.rpartition(",")[0]
            print(f"{testset:14} {ipc:7} {network:10} {name:7} {value:.1f}, ours {ours:.1f}, behind by {value - ours:.1f}")

# %% tags=["parameters"]
profile = ""  # smoke, laptop, desktop, gpu or paper; empty: SRDISTILL_PROFILE, or else laptop
seeds = 0  # number of seeds; 0: the profile's own
data = ""  # a folder of your own pictures, train/<class> and val/<class> inside; empty: the profile's

# %%
study, low = (coreset.PAPER.open(table, profile=profile, seeds=seeds, data=data) for table in ("coreset_t1", "coreset_t2"))
rows, low_rows = study.rows(), low.rows()
describe(study)

# %% [markdown]
# One picture of each class. (Where no data set is at hand, the classes are the embedded photographs: *which picture is this
# crop from?* Crops for training and for testing come from different cells of a grid, so that they share no pixel.)

# %%
train, test = study.dataset.train, study.dataset.test
examples = {"train": train, "test": test}
coreset.class_columns(train.classes, {
    part: torch.stack([found.of_class(k)[0] for k in range(len(found.classes))]) for part, found in examples.items()
})  # fmt: skip

# %% [markdown]
# ## Step 1: a teacher, and its gate
#
# The teacher has the student's architecture and is trained on all pictures. Before it is used it has to reach an accuracy on
# test pictures: teachers shipped with other label orders gave others results at chance, and nothing else looked wrong.

# %%
for one in (study, low):
    for dataset, found in one.datasets.items():
        for network in one.networks:
            accuracy = one.entry(one.teacher(dataset, network)).value["accuracy"]
            gate = one.planned[dataset].gate
            print(f"{network} on {dataset} at {found.train.size} px: {accuracy:.1f} % (needed: {gate:g} %)")

# %% [markdown]
# ## Step 2: the coreset
#
# Of every training picture some random crops are shrunk to a patch; the teacher scores each by its cross entropy to the true
# label, the best of a picture is kept, and of these the best $\mathrm{IPC} \cdot r^2$ of a class: as many pixels as IPC whole
# pictures. RDED pads a patch with grey to full size before the teacher sees it, and so do we where the network takes one
# size only.

# %%
saved(study, diagram([
    ["pictures", "random crops", "of them the\nteacher's surest"],
    ["patch of\nthe coreset", "enlarged, mixed,\nnoised", "denoised:\na new picture"],
], "teacher's soft label,\nT = 20: what the\nstudent learns", "in every epoch another picture"), "diagram")  # fmt: skip

# %% [markdown]
# ### From scratch
#
# The selection, in plain torch, from six pictures of each class and three crops of each. Beside it the loss of soft labels:
# at $T = 20$ a teacher that is sure says how the other classes are alike, which is most of what a student learns from it.

# %%
teacher = study.open(study.teacher(study.dataset.name, study.networks[0])).eval()
six = torch.cat([train.of_class(k)[:6] for k in range(len(train.classes))])
few = LabelledPictures(six, torch.arange(len(train.classes)).repeat_interleave(6), train.classes)
chosen = coreset.coreset_patches(few, teacher=teacher, ipc=1, factor=2, crops=3, generator=torch.Generator().manual_seed(0))

boxes = draw_boxes(3 * len(few), few.size, generator_for(0, "coreset crops")).tolist()
crops = to_uint8(torch.cat([
    F.interpolate(to_float(few.images[i // 3][None, :, top : top + height, left : left + width]), 2 * (few.size // 2,),
                  mode="bilinear", antialias=True)
    for i, (top, left, height, width) in enumerate(boxes)
]))  # fmt: skip
with torch.no_grad():
    logits = teacher(padded(to_float(crops), few.size, tuple(teacher.mean.flatten().tolist())))
losses = F.cross_entropy(logits, few.labels.repeat_interleave(3), reduction="none").view(-1, 3)
best = crops.unflatten(0, (-1, 3))[torch.arange(len(few)), losses.argmin(1)].unflatten(0, (-1, 6))
order = losses.amin(1).view(-1, 6).argsort(1)[:, :4]
by_hand = torch.cat([patches[found] for patches, found in zip(best, order, strict=True)])
print(f"largest difference from the library's: {(by_hand.int() - chosen.images.int()).abs().max()} of 255 levels")
assert (by_hand.int() - chosen.images.int()).abs().max() <= 1

wanted, said = F.softmax(logits / 20, 1), logits.roll(1, 0)
by_hand = (wanted * (wanted.log() - F.log_softmax(said / 20, 1))).sum(1).mean()
torch.testing.assert_close(soft_label_loss(said, wanted, 20), by_hand, rtol=1e-3, atol=1e-6)
sure = F.softmax(logits, 1).amax(1).mean()
print(f"largest probability of a crop, on average: {sure:.2f}, at T = 20 {wanted.amax(1).mean():.2f}")

# %% [markdown]
# The coreset of one picture per class (the paper's figure 2), and random patches of the same budget. A column is a class.

# %%
ranks = {
    f"{name.split()[0].lower()} {rank + 1}": images for name in (SELECTED, RANDOM)
    for rank, images in enumerate(coreset.ranked(study.make_set(rows[f"{name}, IPC 1"]))[:4])
}  # fmt: skip
saved(study, coreset.class_columns(train.classes, ranks), "coreset")

# %% [markdown]
# ## Step 3: expansion
#
# In every epoch each patch is enlarged, encoded, mixed with another one of its class, noised up to a share $\rho$ of the
# diffusion time and denoised in a few steps, from a seed that belongs to patch and epoch. The teacher labels the picture, the
# student learns the label, and the picture is forgotten. What has to be stored: patches, seeds, the labels of all epochs, and
# the diffusion model. Below, the first patch of each class: enlarged, and in three epochs.

# %%
ours = rows[f"{OURS}, IPC 1"]
asked = study.source(ours, seed=0)
# As in training, but without the student's augmentation.
plain = replace(asked, settings={**asked.settings, "views": None})
source, first = study.open(plain), coreset.ranked(study.make_set(ours))[0]
stages = {"enlarged": to_uint8(interpolated(first, train.size))}
stages |= {f"epoch {epoch + 1}": source(epoch)[0].unflatten(0, (len(train.classes), -1))[:, 0] for epoch in range(3)}
saved(study, coreset.class_columns(train.classes, stages), "expanded")

# %% [markdown]
# A student makes the teacher's pictures again, so they must not depend on what else is in the batch. The same pictures made
# in batches of up to 64 and in batches of 5, and how far the teacher's labels drift:

# %%
teacher = study.open(study.teacher(study.dataset.name, study.networks[0]))
small_batches = study.open(replace(plain, settings={**plain.settings, "batch": 5}))
drift = coreset.label_drift(teacher, source(0)[0], small_batches(0)[0], classes=len(train.classes), device=study.device)
pd.DataFrame({"largest difference, levels of 255": drift["levels"], "mean KL of labels": drift["mean_kl"],
              "largest KL": drift["max_kl"], "same best class, %": 100 * drift["agreement"]}, index=["drift"])  # fmt: skip

# %% [markdown]
# ## Step 4: the baselines that distil
#
# The printed tables name methods that *learn* pictures, with other networks and for other students. MTT, TESLA and DATM match
# the trajectories of experts; IDM matches features of networks in training, G-VBSM the statistics of trained ones. Does each
# lower what it is meant to lower? Its loss, seed 0, means over the first and the last tenth of its iterations (of G-VBSM's
# batches of pictures, one after another, the first tenth of the first and the last tenth of the last):

# %%
distilling = {"coreset_t1": (MTT, GVBSM), "coreset_t2": (TESLA, MTT, IDM, DATM, GVBSM)}
lowered = {}
for one, found in ((study, rows), (low, low_rows)):
    for ipc in one.plan.ipcs[one.name]:
        for method in distilling[one.name]:
            history = one.make_set(found[f"{method}, IPC {ipc}"]).history
            first, last = (history.get("loss", history.get("distance"))[k] for k in (0, -1))
            lowered[one.name, ipc, method] = {"at first": first, "at last": last, "change, %": 100 * (last / first - 1)}
pd.DataFrame(lowered).T.round(3).rename_axis(["table", "IPC", "method"])

# %% [markdown]
# A column is a class, one picture each, at low resolution. MTT, TESLA, DATM and IDM begin with real pictures, IDM with four
# quarters in one; G-VBSM begins with noise, and its pictures are meant for networks, not for eyes.

# %%
saved(low, coreset.class_columns(low.dataset.train.classes, {
    name: coreset.ranked(low.make_set(low_rows[f"{name}, IPC 1"]))[0] for name in (WHOLE, *distilling["coreset_t2"])
}), "distilled")  # fmt: skip

# %% [markdown]
# ## The run
#
# Patches and the pictures of SRe2L and G-VBSM are learned with a teacher's soft labels (G-VBSM's: of all its networks); those
# of MTT, TESLA, IDM and DATM with labels of their own (hard ones; DATM learns its), GLaD's way, as their authors do. The
# printed tables mix both ways too. `11_expansion_transfer` lets each set be learned in either (GLaD is Cazenavette et al.
# 2023).
#
# Of soft labels, all students learn those of augmented pictures (temperature 20), for as many epochs, RDED's way. One
# thing follows that the paper does not say: an epoch of single patches has $r^2$ times as many pictures as one of collages.
# The row *as many pictures* trains on RDED's $r^2$ times longer. (Up to 64 px RDED's own factor is 1: its pictures there are
# single crops, no collages.)
#
# Beside it stand, as controls, the selected patches only enlarged; random patches of the same budget, enlarged and expanded;
# and IPC whole pictures.

# %%
results, low_results = study.run(rows), low.run(low_rows)
print(f"{train.size} px: {results}\n{low.dataset.train.size} px: {low_results}")

# %% [markdown]
# ## Our tables beside the printed ones
#
# Top-1 accuracy in percent after the last epoch. Printed systems that have no runnable counterpart here keep their rows.

# %%
shown, low_shown = Presentation(study, rows, results), Presentation(low, low_rows, low_results)
shown.table()

# %%
low_shown.table()

# %%
shown.sizes()

# %% [markdown]
# ## Plots
#
# A dot per seed, and the mean with its 95 % interval over seeds.

# %%
shown.plot("accuracy")

# %%
low_shown.plot("accuracy")

# %% [markdown]
# ## The claims, checked

# %%
superior = "our approach is either superior or on par with the baselines"
against = (
    ("rded", RDED, "RDED", superior),
    ("sre2l", SRE2L, "SRe2L", superior),
    ("rded-longer", f"{RDED}, as many pictures", "RDED on as many pictures", ""),
    ("diffusion", SELECTED, "the same patches without diffusion", ""),
    ("selection", f"{RANDOM}, expanded", "random patches, expanded alike", ""),
    ("random", RANDOM, "random patches without diffusion", ""),
)


def questions(one, student: str) -> list[Question]:
    """Ours against all others at every IPC; ``student``: of the printed rows."""
    learned = tuple((name.lower(), name, name, superior) for name in distilling[one.name])
    where = f"{{network}}, {one.dataset.name} at {one.dataset.train.size} px"
    return [
        Question(f"{name}-{ipc}", f"{where}, IPC {ipc}: ours beats {words}", f"{OURS}, IPC {ipc}", f"{other}, IPC {ipc}",
                 sentence, "accuracy", "points", stand_in="engine", printed_network=student)
        for ipc in one.plan.ipcs[one.name] for name, other, words, sentence in (*against, *learned)
    ]  # fmt: skip


shown.check(questions(study, "ResNet-18"), study.networks[:1])

# %%
low_shown.check(questions(low, low.networks[0]), low.networks[:1])

# %% [markdown]
# ## What we saw
#
# The claims above are the finding, verdict by verdict; where one has *no power*, its gate says why this run could not have
# told. This page shows the `desktop` run: ImageNette at 64 and 32 px, 300 pictures of each class to train on and 100 to test
# on, teachers of 65 and 60 %, and a latent diffusion transformer that was trained on the same pictures on one core of a CPU. It
# is no SDXL-Turbo, so what it finds of the paper's own sentences is no evidence against them; questions about this engine, and
# about rows without one, it answers. The `laptop` profile shows the same steps with photographs as classes.
#
# * **The printed order comes back, and hangs on the number of pictures.** Ours is ahead of RDED and SRe2L at every size, with
#   intervals that are clear of zero but for one (the sentences stay without a verdict: the engine is a stand-in). But RDED's
#   students see a quarter of the pictures in an epoch. On as many pictures RDED comes within the intervals at one picture per
#   class, and is well ahead of ours at ten.
#
# * **Random patches are a strong row.** Random crops of the same size, only enlarged, with the same soft labels: no interval is
#   clear of them, and the means go either way. The paper lacks that row. At 32 px the expansion beats the selected patches
#   without it; at 64 px that is open.
#
# * What the engine makes at much noise are paintings more than pictures (above, and `10_expansion_ablation`), and still the
#   teacher's labels of them teach about as much as real patches do. So it is no wonder that a better engine gains something;
#   how much of the printed lead that is, and how much the number of pictures, cannot be told without the row *as many
#   pictures*.
#
# * Whole pictures are worst of the real ones: one view of ten pictures, labelled again and again, says less than four patches
#   each.
#
# * **What leads in print does not lead here, but for one.** In print the four methods with labels of their own are 7 to 10
#   points ahead of ours on CIFAR-10 with one picture per class. Here, on ImageNette at the same size, IDM is level with
#   ours; MTT, TESLA and DATM are as far behind as they are ahead in print. With ten pictures per class at 64 px MTT is
#   level. All of them lower what they are meant to lower, by a sixth to a quarter (with ten pictures per class by 7 %), and
#   all are stopped early: experts and iterations are a small part of their authors'. How much of the distance is labels, and
#   how much is pictures, is the question of `11_expansion_transfer`.
#
# * G-VBSM lowers its loss by three quarters, and students of its pictures stay at chance; those of SRe2L's are little better.
#   Both have a small part of their iterations and one small teacher, or four; their numbers are lower bounds. Of RDED's own
#   tables this order, RDED above SRe2L, is what can be compared, and it holds.
#
# * With ten pictures per class students of soft labels have a fifth of the epochs, and most gain little over one picture per
#   class (RDED on as many pictures and random patches more); rows may be compared within one IPC, not across. One rate serves
#   all rows, chosen on training pictures (`lib/srdistill/papers/coreset/plan.py` has the figures).

# %% [markdown]
# ## Exercises
#
# 1. Halve $\rho$: what happens to the soft labels? *Hint:* `coreset.ABLATION` has settings with other
#    strengths; compare `wanted.amax(1)` of their pictures.
# 2. Set $T = 1$ in the loss. *Hint:* print `wanted` for one crop at both temperatures: how many classes does each speak of?

# %%
shown.save()

# %%
low_shown.save()
