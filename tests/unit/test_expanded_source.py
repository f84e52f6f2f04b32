"""Every epoch's pictures and soft labels, made and labelled in one pass; the same for the same epoch; their plain controls."""

import math
import threading
import time
from dataclasses import replace

import pytest
import torch
from tiny_dit import SIZE, tiny_dit
from tiny_prior import TinyPrior
from tiny_teacher import NAMES, TinyTeacher, photo_classes, trained_teacher

from srdistill.diffusion.engine import EngineError, expand, interpolated
from srdistill.diffusion.latent_engine import LatentDiffusionEngine
from srdistill.diffusion.schedule import StrengthError
from srdistill.images.labelled import LabelledPictures
from srdistill.images.pictures import PictureError, to_float, to_uint8
from srdistill.networks.classifiers import Classifier, build_classifier
from srdistill.papers.coreset.expanding import expanded_source
from srdistill.papers.coreset.expanding.coreset_patches import coreset_patches
from srdistill.papers.coreset.expanding.expanded_source import ExpandedSource, PlainSource
from srdistill.papers.coreset.expanding.expansion import ABLATION, Expansion
from srdistill.papers.coreset.expanding.label_drift import label_drift
from srdistill.papers.coreset.expanding.latent_mixup import draw_partners, mix_latents
from srdistill.seeds import generator_for
from srdistill.training.augmentation import augment
from srdistill.training.classification import train_student
from srdistill.training.classification_recipe import ClassificationRecipe
from srdistill.training.made_ahead import MadeAhead
from srdistill.training.soft_labels import soft_labels
from srdistill.training.teacher_logits import TeacherError


@pytest.fixture(scope="module")
def patches(train_photos):
    """Nine patches of 8 px and their classes, 0, 1, 2 in turn."""
    images, labels = photo_classes(train_photos, 3)
    return images[..., 8:16, 8:16].contiguous(), labels


@pytest.fixture(scope="module")
def engine():
    model = tiny_dit()
    model.normalise_for(torch.randn(50, 6, 8, 8, generator=torch.Generator().manual_seed(1)) * 0.4)
    return LatentDiffusionEngine(model, TinyPrior(), working_size=SIZE)


@pytest.fixture(scope="module")
def teacher():
    return TinyTeacher().eval().requires_grad_(False)


def source(engine, teacher, patches, expansion=ABLATION["superres+aug"], **settings):
    settings = {"classes": 3, "size": SIZE, "seed": 5} | settings
    return ExpandedSource(engine, teacher, *patches, expansion=expansion, **settings)


def test_is_expansion_then_the_teacher(engine, teacher, patches):
    ours = source(engine, teacher, patches, batch=4)
    images, logits = ours(3)
    assert images.dtype == torch.uint8 and logits.dtype == torch.float16 and logits.shape == (9, 3)
    plain = expand(engine, *patches, ours.seeds(3), rho=0.8, size=SIZE, batch=1)
    assert (images.int() - plain.int()).abs().max() <= 1
    assert torch.allclose(logits.float(), teacher(to_float(images)), atol=2e-3)
    assert len(set(ours.seeds(3)) | set(ours.seeds(4))) == 18


def test_an_epoch_is_the_same_whenever_it_is_made(engine, teacher, patches):
    ours = source(engine, teacher, patches)
    first = ours(2)
    ours(0), ours(1)
    for a, b, c in zip(first, ours(2), source(engine, teacher, patches)(2), strict=True):
        assert torch.equal(a, b) and torch.equal(a, c)
    assert not torch.equal(first[0], source(engine, teacher, patches, seed=6)(2)[0])


def test_rows_of_the_ablation_differ_as_they_should(engine, teacher, patches):
    made = {name: [source(engine, teacher, patches, plan)(epoch)[0] for epoch in (0, 1)] for name, plan in ABLATION.items()}
    assert torch.equal(*made["superres"])  # one seed for all epochs
    for name in ("text", "superres+aug", "superres+aug+mixup"):
        assert not torch.equal(*made[name])
    small, labels = patches
    other = source(engine, teacher, (255 - small, labels), ABLATION["text"])(0)[0]
    assert torch.equal(made["text"][0], other)  # no patch is looked at
    assert not torch.equal(made["superres"][0], source(engine, teacher, (255 - small, labels), ABLATION["superres"])(0)[0])


def test_codes_are_made_once_unless_there_are_too_many(engine, teacher, patches, monkeypatch):
    plan, asked = Expansion(rho=0.6, mixup=(0.5, 0.9)), []
    monkeypatch.setattr(engine, "encode", lambda found: asked.append(len(found)) or LatentDiffusionEngine.encode(engine, found))
    ours = source(engine, teacher, patches, plan, batch=4)
    once = [ours(epoch)[0] for epoch in (0, 1)]
    assert asked == [4, 4, 1]
    monkeypatch.setattr(expanded_source, "_KEPT", 1000)
    again = source(engine, teacher, patches, plan, batch=4)
    for epoch in (0, 1):
        assert (again(epoch)[0].int() - once[epoch].int()).abs().max() <= 1
    assert len(asked) > 3 + 2 * 2 * 2  # patch and partner, batch by batch, in each of two epochs


def test_mixup_mixes_clean_latents_of_one_class(engine, teacher, patches):
    plan = Expansion(rho=0.6, mixup=(0.5, 0.9))
    ours = source(engine, teacher, patches, plan, batch=4)
    images, labels = patches
    for epoch in (0, 1):
        partners, gamma = draw_partners(labels, epoch, 5, gamma=(0.5, 0.9))
        latents = engine.encode(images)
        mixed = mix_latents(latents, latents[partners], gamma)
        plain = engine.denoise(mixed, labels, ours.seeds(epoch), rho=0.6, size=SIZE)
        assert (ours(epoch)[0].int() - plain.int()).abs().max() <= 1


def test_views_are_labelled_as_they_are_seen(engine, teacher, patches):
    images, logits = source(engine, teacher, patches, views=ClassificationRecipe(1, cutmix=False))(0)
    assert not torch.equal(images, source(engine, teacher, patches)(0)[0])
    assert torch.allclose(logits.float(), teacher(to_float(images)), atol=2e-3)


def test_settings_that_mean_nothing_are_refused(engine, teacher, patches):
    for settings, error, message in [
        ({"rho": 0}, StrengthError, r"in \(0, 1\], got 0"),
        ({"rho": 0.8, "anchored": False}, StrengthError, "rho is 1, got 0.8"),
        ({"mixup": (0.9, 0.1)}, ValueError, "range of shares"),
        ({"rho": 1.0, "anchored": False, "mixup": (0.5, 1)}, ValueError, "mixes patches, but none is used"),
    ]:
        with pytest.raises(error, match=message):
            Expansion(**settings)
    images, labels = patches
    for settings, error, message in [
        ({"expansion": Expansion(rho=0.1)}, StrengthError, "rho 0.1 of 5 steps is .* = 0 steps"),
        ({"classes": 2}, PictureError, r"labels lie in 0\.\.2, but there are 2 classes"),
        ({"batch": 0}, ValueError, "size and batch must be 1 or more, got 16 and 0"),
        ({"patches": (images[:0], labels[:0])}, PictureError, "no patches; select some first"),
        ({"patches": (images, labels[:2])}, PictureError, "9 patches need 9 integer labels"),
    ]:
        with pytest.raises(error, match=message):
            source(engine, teacher, **({"patches": patches} | settings))


class Flat:
    """An engine whose pictures have their class as their colour."""

    name, bytes, steps = "flat", 0, 5

    def encode(self, patches):
        return to_float(patches)

    def denoise(self, latents, labels, seeds, *, rho, size):
        return flat(labels, size)


def flat(labels, size=SIZE):
    return labels.to(torch.uint8).view(-1, 1, 1, 1).repeat(1, 3, size, size)


def flat_source(kind, classes, count, **settings):
    """A source of ``count`` pictures of one colour for each class, class after class."""
    labels, teacher = torch.arange(classes).repeat_interleave(count), TinyTeacher(classes).eval()
    settings = {"classes": classes, "size": SIZE, "seed": 5} | settings
    if kind == "expanded":
        return ExpandedSource(Flat(), teacher, flat(labels), labels, expansion=Expansion(rho=0.8), **settings)
    return PlainSource(teacher, flat(labels), labels, **settings)


@pytest.mark.parametrize(
    ("kind", "classes", "count", "batch", "collage"),
    [
        ("expanded", 11, 40, 44, 1),  # 10 pictures a class at r = 2
        ("plain", 11, 40, 44, 1),
        ("plain", 11, 10, 44, 2),  # RDED's collages of them
        ("expanded", 10, 64, 10, 1),  # one picture a class at r = 8
    ],
)
def test_cutmix_takes_partners_of_all_classes(monkeypatch, kind, classes, count, batch, collage):
    """Of the pictures that CutMix mixes with another one, as many are mixed with another class as there are of these."""
    found = []

    def seen(images, recipe, draws):
        made = augment(images, recipe, draws)
        colours, other = images[:, 0, 0, 0], made.partner != torch.arange(len(images))
        found.append((colours != colours[made.partner])[other])
        return made

    monkeypatch.setattr(expanded_source, "augment", seen)
    views = ClassificationRecipe(1, batch=batch, crop_scale=(1.0, 1.0), collage=collage)
    made = flat_source(kind, classes, count, views=views)
    for epoch in range(8):
        made(epoch)
    share, chance = torch.cat(found).double().mean().item(), (classes - 1) * count / (classes * count - 1)
    assert share == pytest.approx(chance, abs=0.025) and share > 0.85


def test_a_student_sees_the_batches_of_its_source():
    """Pictures of a training batch share the box of CutMix: the student keeps the source's order and division."""
    views = ClassificationRecipe(3, batch=7, crop_scale=(1.0, 1.0), flip=False)
    made, seen = flat_source("plain", 5, 4, views=views), []

    class Student(Classifier):
        def forward(self, images):
            if self.training:
                seen.append((images * 255).round().to(torch.uint8))
            return super().forward(images)

    names = tuple("abcde")
    student = build_classifier("ConvNet", classes=names, size=SIZE, seed=0, depth=1, width=4)
    student.__class__ = Student
    recipe = replace(views, cutmix=False, shuffle=False)
    train_student(student, made, recipe, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.cat(seen), torch.cat([made(epoch)[0] for epoch in range(3)]))
    assert [len(part) for part in seen] == [len(part) for epoch in range(3) for part in made.batches(epoch)]


def test_views_do_not_depend_on_how_many_pictures_are_made_at_a_time(engine, teacher, patches):
    views = ClassificationRecipe(1, batch=5, cutmix=False)
    first, again = (source(engine, teacher, patches, views=views, batch=batch)(2) for batch in (2, 16))
    assert (first[0].int() - again[0].int()).abs().max() <= 1
    assert torch.allclose(first[1].float(), again[1].float(), atol=2e-2)


class Lost:
    """An engine that makes NaN in its second epoch."""

    name, bytes, steps, made = "lost", 0, 5, 0

    def encode(self, patches):
        return to_float(patches)

    def denoise(self, latents, labels, seeds, *, rho, size):
        self.made += 1
        bad = torch.full((len(labels), 3, size, size), math.nan)
        return bad if self.made > 1 else torch.zeros(len(labels), 3, size, size, dtype=torch.uint8)


def test_pictures_with_nan_and_bad_teachers_are_errors(engine, teacher, patches):
    lost = source(Lost(), teacher, patches)
    lost(0)
    with pytest.raises(EngineError, match="lost: picture 0 .class 0. holds NaN or infinity"):
        lost(1)
    with pytest.raises(TeacherError, match=r"logits \(9, 5\) for 9 pictures of 3 classes"):
        source(engine, TinyTeacher(5), patches)(0)
    loud = TinyTeacher()
    loud.head.bias.data[0] = 1e6
    with pytest.raises(TeacherError, match=r"logits reach 1e\+06, more than float16 holds"):
        source(engine, loud, patches)(0)


def test_interpolated_patches_are_the_plain_control(teacher, patches):
    images, labels = patches
    plain = PlainSource(teacher, images, labels, classes=3, size=SIZE, seed=0)
    for epoch in (0, 1):
        made, logits = plain(epoch)
        assert torch.equal(made, to_uint8(interpolated(images, SIZE)))
        assert torch.equal(logits, soft_labels(teacher, made, 3))


def test_collages_are_shuffled_cropped_and_labelled(teacher, train_photos):
    images, labels = photo_classes(train_photos, 2)
    views = ClassificationRecipe(1, collage=2, crop_scale=(0.5, 1.0))
    plain = PlainSource(teacher, images, labels, classes=3, size=32, seed=0, views=views)
    made, logits = plain(1)
    (order,) = plain.batches(1)
    assert sorted(order.tolist()) == list(range(6)) and order.tolist() != plain.batches(0)[0].tolist()
    expected = augment(to_float(images[order]), views, generator_for(0, "views", 1, 0)).images
    assert torch.equal(made, to_uint8(expected))
    assert torch.equal(made, plain(1)[0]) and not torch.equal(made, plain(0)[0])
    assert torch.allclose(logits.float(), teacher(to_float(made)), atol=2e-3)


def test_a_student_trains_on_sources(engine, train_photos):
    """Selection, expansion and training fit together."""
    images, labels = photo_classes(train_photos, 12)
    teacher = trained_teacher(images, labels)
    real = LabelledPictures(images, labels, NAMES)
    chosen = coreset_patches(real, teacher=teacher, ipc=1, factor=2, generator=torch.Generator().manual_seed(0))
    made = ExpandedSource(
        engine, teacher, chosen.images, chosen.labels, classes=3, size=16, seed=0, expansion=Expansion(rho=0.2)
    )
    student = build_classifier("ConvNet", classes=NAMES, size=16, seed=0, depth=2, width=8)
    history = train_student(
        student, made, ClassificationRecipe(15, batch=12, lr=1e-2, temperature=2), generator=torch.Generator().manual_seed(0)
    )
    assert history["loss"][-1] < 0.5 * history["loss"][0]


def test_made_ahead_is_the_same_and_does_not_wait(engine, teacher, patches):
    ours = source(engine, teacher, patches)
    with MadeAhead(ours, 4) as ahead:
        for epoch in (0, 1, 3, 2, 3):  # out of turn too
            for a, b in zip(ahead(epoch), ours(epoch), strict=True):
                assert torch.equal(a, b)


def test_made_ahead_works_while_the_student_trains():
    making, made = threading.Event(), []

    def slow(epoch):
        made.append(epoch)
        if epoch == 1:
            making.set()
        return torch.tensor(epoch), torch.tensor(epoch)

    with MadeAhead(slow, 3) as ahead:
        assert int(ahead(0)[0]) == 0
        assert making.wait(5)  # nobody has asked for epoch 1 yet
        assert int(ahead(1)[0]) == 1 and int(ahead(2)[0]) == 2
        time.sleep(0.05)
    assert made == [0, 1, 2]  # and no epoch beyond the last


def test_an_error_in_the_thread_is_raised_where_its_epoch_is_asked_for(teacher, patches):
    with MadeAhead(source(Lost(), teacher, patches), 3) as ahead:
        ahead(0)
        with pytest.raises(EngineError, match="holds NaN"):
            ahead(1)
    with pytest.raises(ValueError, match="epochs must be 1 or more, got 0"):
        MadeAhead(lambda epoch: None, 0)


def test_drift_of_labels(teacher, train_photos):
    images, _ = photo_classes(train_photos, 4)
    same = label_drift(teacher, images, images, classes=3)
    assert same == {"levels": 0, "mean_kl": 0, "max_kl": 0, "agreement": 1}
    other = images.clone()
    other[5] = 255 - other[5]
    found = label_drift(teacher, images, other, classes=3)
    p, q = (teacher(to_float(one)).double().softmax(1) for one in (images, other))
    divergence = (p * (p / q).log()).sum(1)
    assert found["max_kl"] == pytest.approx(float(divergence[5]), rel=1e-4) and found["levels"] > 50
    assert found["mean_kl"] == pytest.approx(float(divergence.mean()), rel=1e-4)
    assert found["agreement"] == float((p.argmax(1) == q.argmax(1)).double().mean())
    assert label_drift(teacher, images, other, classes=3, temperature=20)["max_kl"] < found["max_kl"]
    with pytest.raises(PictureError, match="two makings of the same pictures have one shape"):
        label_drift(teacher, images, images[:3], classes=3)
    with pytest.raises(ValueError, match="temperature must be above 0, got 0"):
        label_drift(teacher, images, images, classes=3, temperature=0)
