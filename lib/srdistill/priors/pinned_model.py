"""Published diffusers models: from a folder of one's own, from the Hugging Face cache, or fetched at a pinned revision."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from srdistill.files import brief
from srdistill.images.torchvision_import import import_torchvision
from srdistill.needs import Need
from srdistill.priors.prior import PriorError
from srdistill.rehearsing import may_fetch
from srdistill.weights import VARIABLE, WeightsMissing, weights_folder


@dataclass(frozen=True)
class PublishedModel:
    """``name``: its folder under ``SRDISTILL_WEIGHTS``, in the layout of its repository. ``kind``: class in diffusers.
    ``size``: of its weights in bytes, about."""

    name: str
    kind: str
    repository: str
    revision: str
    subfolder: str = ""
    size: int = 0

    def need(self, download: bool) -> Need:
        """What ``load`` would find, without loading or fetching it."""
        file = f"{self.subfolder}/config.json".lstrip("/")
        return repository_need(self.name, self.repository, self.revision, file, self.size, download)

    def load(self, path: str | Path | None = None, download: bool = False) -> nn.Module:
        """The model in float32: from ``path`` if given, else ``$SRDISTILL_WEIGHTS/<name>``, else Hugging Face's cache.

        ``path``: a folder with ``config.json`` and the weights, or with the subfolder that holds them. ``download``: fetch
        the pinned revision if it is nowhere.

        Raises:
            WeightsMissing: it is nowhere, and ``download`` is off or fails. PriorError: weights that do not fit the model.
        """
        # diffusers imports torchvision, which a CPU build of torch trips over; and it takes seconds, so only now.
        import_torchvision()
        import diffusers

        kind = getattr(diffusers, self.kind)
        root = weights_folder()
        place = Path(path).expanduser() if path else root and root / self.name
        if place and self.subfolder and (place / self.subfolder).is_dir():
            place = place / self.subfolder
        here = bool(place) and (place / "config.json").is_file()
        if path and not here:
            raise WeightsMissing(
                f"no config.json in {place}; give the folder of a {self.kind} in diffusers' layout, e.g. {self.repository}'s"
            )
        source = {"pretrained_model_name_or_path": str(place), "local_files_only": True}
        if not here:
            source = {
                "pretrained_model_name_or_path": self.repository, "revision": self.revision, "subfolder": self.subfolder,
                "local_files_only": not may_fetch(download),
            }  # fmt: skip
        try:
            model, about = kind.from_pretrained(**source, output_loading_info=True, low_cpu_mem_usage=False)
        except OSError as error:
            if here:
                raise PriorError(f"{place}: no readable weights of {self.name} ({brief(error)}); fetch them again") from error
            remedy = f"put the repository's files at {place}" if place else f"set {VARIABLE} and put its files at {self.name}/"
            how = "" if download else ", or call with download=True where there is a network"
            raise WeightsMissing(
                f"no weights of {self.name} ({self.repository}, revision {self.revision[:8]}): {brief(error)}; "
                f"{remedy} in it{how}"
            ) from error
        except (RuntimeError, ValueError, TypeError, KeyError) as error:
            raise PriorError(f"{self.name}: weights that do not fit {self.kind} ({brief(error)})") from error
        # diffusers only logs what it did not find and leaves it random.
        if about["missing_keys"] or about["mismatched_keys"]:
            first = next(iter(about["missing_keys"] or about["mismatched_keys"]))
            raise PriorError(f"{self.name}: the weights lack {first} of {self.kind}; they are of another model, or damaged")
        return model.eval().requires_grad_(False)


def repository_need(name: str, repository: str, revision: str, file: str, size: int, download: bool) -> Need:
    """A repository of Hugging Face's as a need: at ``$SRDISTILL_WEIGHTS/<name>``, or in its cache. ``file``: one of it.

    ``size``: in bytes, about; 0 if nobody says.
    """
    from huggingface_hub import try_to_load_from_cache

    root = weights_folder()
    places = [root / name] if root and any((root / name / part).is_file() for part in (file, Path(file).name)) else []
    cached = try_to_load_from_cache(repository, file, revision=revision)
    places += [Path(cached)] if isinstance(cached, str) else []
    return Need(
        name, tuple(places[:1]), f"https://huggingface.co/{repository}, revision {revision[:8]}", size, download,
        remedy=f"put the repository's files at {root or '$' + VARIABLE}/{name}",
    )  # fmt: skip
