"""Classifiers: trained on all pictures with their own labels, checked as teachers, and students of a source of pictures."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from srdistill.images.labelled import LabelledPictures
from srdistill.images.zca import fit_zca
from srdistill.networks.classifiers import CLASSIFIERS, Classifier, build_classifier
from srdistill.seeds import derive_seed, generator_for
from srdistill.study.engine.store import Entry
from srdistill.study.engine.tasks import Step, Task
from srdistill.study.engine.work import Work
from srdistill.training.made_ahead import MadeAhead
from srdistill.training.teacher import load_teacher

# Pictures up to this side keep their resolution longer in a ResNet-18, as in RDED's.
_SMALL_PICTURES = 64


def _fresh(task: Task, train: LabelledPictures) -> Classifier:
    settings = dict(task.settings["classifier"])
    if settings["architecture"] == "ResNet18" and train.size <= _SMALL_PICTURES:
        settings["small_stem"] = True
    mean, std = train.statistics
    whitening = fit_zca(train) if settings.pop("whitened", False) else None
    return build_classifier(
        classes=train.classes, size=train.size, seed=derive_seed(task.seed, "student"), mean=mean, std=std,
        whitening=whitening, **settings,
    )  # fmt: skip


def _code(task: Task) -> Sequence[Callable]:
    return build_classifier, CLASSIFIERS[task.settings["classifier"]["architecture"]]


def train_on_all(task: Task, work: Work):
    """``task.function`` (``train_classifier``) on ``settings["train"]``, tested on ``settings["test"]``."""
    train, test = work.opened(task.settings["train"]), work.opened(task.settings["test"])
    model = _fresh(task, train)
    history = task.function(
        model, train, task.settings["recipe"], generator=generator_for(task.seed, "training"), test=test,
        device=work.device, checkpoint=work.checkpoint, label=task.label,
    )  # fmt: skip
    right = history.pop("correct")
    return {"history": history, "correct": right}, lambda path: model.cpu().save(Path(path))


def _read_classifier(entry: Entry, task: Task, work: Work) -> Classifier:
    train = work.opened(task.settings["train"])
    return load_teacher(entry.tensors, classes=train.classes, size=train.size)


def check(task: Task, work: Work):
    """``task.function`` (``check_teacher``): the accuracy, or TeacherError, which fails whatever needs this teacher."""
    found, test = work.opened(task.settings["network"]), work.opened(task.settings["test"])
    return {"accuracy": task.function(found, test, at_least=task.settings["gate"], device=work.device)}, None


def _read_teacher(entry: Entry, task: Task, work: Work) -> Classifier:
    return work.open(task.settings["network"])


def train_student(task: Task, work: Work):
    """``task.function`` (``training.classification.train_student``) on ``settings["source"]``, a resource that gives the
    pictures and soft labels of every epoch."""
    train, test = work.opened(task.settings["train"]), work.opened(task.settings["test"])
    source, recipe = work.opened(task.settings["source"]), task.settings["recipe"]
    model = _fresh(task, train)
    # On a GPU the next epoch's pictures are made meanwhile; on a CPU both would share the core.
    ahead = MadeAhead(source, recipe.epochs) if work.device == "cuda" else nullcontext(source)
    with ahead as pictures:
        history = task.function(
            model, pictures, recipe, generator=generator_for(task.seed, "training"), test=test, device=work.device,
            checkpoint=work.checkpoint, label=task.label,
        )  # fmt: skip
    right = history.pop("correct")
    return {"history": history, "correct": right}, None


def _read_history(entry: Entry, task: Task, work: Work) -> dict[str, list[float]]:
    return entry.value["history"]


CLASSIFIER = Step("classifiers", train_on_all, _read_classifier, _code)
TEACHER = Step("teachers", check, _read_teacher)
STUDENT = Step("students", train_student, _read_history, _code)
