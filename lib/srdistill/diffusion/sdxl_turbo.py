"""The paper's own engine: SDXL-Turbo, through diffusers' image-to-image pipeline (coreset paper, section 4)."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from srdistill.diffusion.engine import EngineError, check_request, interpolated, own_noise, resized_pictures
from srdistill.diffusion.sampling import Decoder, SamplingError, named_memory
from srdistill.diffusion.schedule import StrengthError, denoising_steps
from srdistill.diffusion.tiny_sdxl import tiny_sdxl
from srdistill.files import brief
from srdistill.images.torchvision_import import import_torchvision
from srdistill.needs import Need
from srdistill.priors.pinned_model import repository_need
from srdistill.priors.stable_diffusion import autoencoder_kl
from srdistill.rehearsing import may_fetch, or_random
from srdistill.weights import VARIABLE, WeightsMissing, weights_folder

NAME = "sdxl-turbo"
REPOSITORY, REVISION = "stabilityai/sdxl-turbo", "71153311d3dbb46851df1931d3ca6e939de83304"
PROMPT = "A photo of {name}"
_INDEX = "model_index.json"
# Turbo is distilled to work without classifier-free guidance; the paper does not say what it uses.
_GUIDANCE = 0.0


def turbo_need(download: bool) -> Need:
    """SDXL-Turbo's weights, without loading or fetching them."""
    return repository_need(NAME, REPOSITORY, REVISION, _INDEX, 7_000_000_000, download)


class SDXLTurboEngine:
    """SDXL-Turbo with the prompt "A photo of {class}", without guidance, 5 steps, in float16 on a GPU.

    Nothing is read before the first picture is asked for.

    Args:
        names: of the classes, as they stand in the prompt.
        pipeline: a diffusers ``StableDiffusionXLImg2ImgPipeline``; None: SDXL-Turbo at a pinned revision, from ``path`` (a
            folder in diffusers' layout), else ``$SRDISTILL_WEIGHTS/sdxl-turbo``, else Hugging Face's cache.
        download: fetch the pinned revision (7 GB) if it is nowhere.
        working_size: Turbo is trained at 512 px; the paper's size is not known.
        dtype: None: float16 on a GPU, else float32, as few operations exist in float16 on a CPU.

    Unlike the pipeline itself, the patch's latent is the mean of the encoder's distribution, not a draw: it is the same in
    every epoch, and can be mixed. The autoencoder runs in float32 if its configuration says that it overflows in float16, and
    pictures that half precision loses (NaN or black) are decoded again in float32.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        pipeline=None,
        path: str | Path | None = None,
        download: bool = False,
        steps: int = 5,
        working_size: int = 512,
        dtype: torch.dtype | None = None,
        device: torch.device | str = "cpu",
    ):
        denoising_steps(steps, 1.0)
        if not names:
            raise ValueError("no class names; the prompt needs one for every class")
        self.names, self.steps, self.working_size = tuple(names), steps, working_size
        self.device = torch.device(device)
        self.dtype = dtype or (torch.float16 if self.device.type == "cuda" else torch.float32)
        self.name, self.repeated_in_fp32 = "SDXL-Turbo" if pipeline is None else type(pipeline).__name__, 0
        self._source = {"path": path, "download": download}
        self._given, self._pipeline = pipeline, None

    @property
    def bytes(self) -> int:
        """Of all weights as held, the text encoders' among them."""
        parts = ("unet", "vae", "text_encoder", "text_encoder_2")
        weights = [weight for part in parts for weight in getattr(self._ready(), part).parameters()]
        return sum(weight.numel() * weight.element_size() for weight in weights)

    @torch.no_grad()
    def encode(self, patches: Tensor) -> Tensor:
        """See ``Engine``. Raises WeightsMissing, EngineError, PictureError (no square ``uint8`` patches)."""
        self._ready()
        images = interpolated(patches.to(self.device), self.working_size)
        # One by one, as the pipeline does: at 512 px the encoder takes more memory than all the rest.
        codes = [self._prior.encode(image[None].to(self._vae_dtype)).float() for image in images]
        codes = torch.cat(codes) if codes else torch.empty(0, *self._code_shape, device=self.device)
        bad = (~torch.isfinite(codes)).flatten(1).any(1).nonzero().flatten().tolist()
        if bad:
            raise SamplingError(f"{self.name}: the code of patch {bad[0]} holds NaN or infinity; encode in float32 (dtype)")
        return codes

    @torch.no_grad()
    def denoise(self, latents: Tensor | None, labels: Tensor, seeds: Sequence[int], *, rho: float, size: int) -> Tensor:
        """See ``Engine``.

        Raises StrengthError, WeightsMissing, EngineError (no name for a class), SamplingError (no finite pictures, no memory).
        """
        check_request(labels, seeds, latents)
        if denoising_steps(self.steps, rho) < self.steps and latents is None:
            raise StrengthError(f"without a patch there is nothing to keep: rho is 1, got {rho:g}")
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(self.names):
            raise EngineError(
                f"labels lie in {int(labels.min())}..{int(labels.max())}, but the engine has {len(self.names)} class names; "
                "give a name for every class"
            )
        if not len(labels):
            return torch.empty(0, 3, size, size, dtype=torch.uint8)
        pipeline = self._ready()
        if latents is None:
            latents = torch.zeros(len(labels), *self._code_shape)
        with named_memory(f"expanding {len(labels)} patches at a time", "batch", len(labels)):
            codes = pipeline(
                image=latents.to(self.device, self.dtype),
                prompt_embeds=self._embeddings[0][labels].to(self.device),
                pooled_prompt_embeds=self._embeddings[1][labels].to(self.device),
                strength=rho,
                num_inference_steps=self.steps,
                guidance_scale=_GUIDANCE,
                generator=own_noise(seeds),
                output_type="latent",
                return_dict=False,
            )[0].float()
            bad = (~torch.isfinite(codes)).flatten(1).any(1).nonzero().flatten().tolist()
            if bad:
                raise SamplingError(
                    f"{self.name}: {len(bad)} of {len(codes)} latents hold NaN or infinity in {self.dtype}, first picture "
                    f"{bad[0]} (class {self.names[int(labels[bad[0]])]!r}); use dtype=torch.float32"
                )
            decoder = Decoder(self._prior)
            pictures = torch.cat([decoder(code[None], index) for index, code in enumerate(codes)])
        self.repeated_in_fp32 += decoder.repeated
        return resized_pictures(pictures, size)

    def _ready(self):
        """The pipeline on its device, with the embeddings of all prompts; loaded when first asked for."""
        if self._pipeline is None:
            pipeline = load_pipeline(**self._source, dtype=self.dtype) if self._given is None else self._given
            pipeline.set_progress_bar_config(disable=True)
            pipeline.to(self.device)
            if pipeline.unet.dtype != self.dtype:
                pipeline.to(self.dtype)
            # diffusers' own rule for SDXL's autoencoder, which overflows in float16.
            if self.dtype == torch.float16 and pipeline.vae.config.force_upcast:
                pipeline.vae.float()
            self._vae_dtype = pipeline.vae.dtype
            self._prior = autoencoder_kl(pipeline.vae, f"{self.name}'s autoencoder")
            self._code_shape = self._prior.code_shape(self.working_size)
            self._embeddings = self._prompts(pipeline)
            self._pipeline = pipeline
        return self._pipeline

    @torch.no_grad()
    def _prompts(self, pipeline) -> tuple[Tensor, Tensor]:
        """Of all classes, once: the text encoders would otherwise run for every batch. One by one, so that no batch matters."""
        found = [
            pipeline.encode_prompt(PROMPT.format(name=name), device=self.device, do_classifier_free_guidance=False)
            for name in self.names
        ]
        return torch.cat([one[0] for one in found]).cpu(), torch.cat([one[2] for one in found]).cpu()


@or_random(lambda *_, **__: tiny_sdxl())
def load_pipeline(path: str | Path | None = None, *, download: bool = False, dtype: torch.dtype = torch.float32):
    """SDXL-Turbo's image-to-image pipeline at the pinned revision.

    Raises:
        WeightsMissing: not at ``path``, not at ``$SRDISTILL_WEIGHTS/sdxl-turbo``, not in Hugging Face's cache, and ``download``
        is off or fails. EngineError: files of something else, or damaged ones.
    """
    # diffusers imports torchvision, which a CPU build of torch trips over; and it takes seconds, so only now.
    import_torchvision()
    from diffusers import StableDiffusionXLImg2ImgPipeline

    root = weights_folder()
    place = Path(path).expanduser() if path else root and root / NAME
    here = bool(place) and (place / _INDEX).is_file()
    if path and not here:
        raise WeightsMissing(f"no {_INDEX} in {place}; give a folder in diffusers' layout, e.g. {REPOSITORY}'s")
    if here:
        half = any(place.glob("unet/*.fp16.*"))
        source = {"pretrained_model_name_or_path": str(place), "local_files_only": True}
    else:
        half = dtype == torch.float16
        source = {
            "pretrained_model_name_or_path": REPOSITORY, "revision": REVISION, "local_files_only": not may_fetch(download),
        }  # fmt: skip
    try:
        return StableDiffusionXLImg2ImgPipeline.from_pretrained(
            **source, variant="fp16" if half else None, dtype=dtype, use_safetensors=True, add_watermarker=False,
            low_cpu_mem_usage=False,
        )  # fmt: skip
    except OSError as error:
        if here:
            raise EngineError(f"{place}: no readable weights of SDXL-Turbo ({brief(error)}); fetch them again") from error
        remedy = f"put the repository's files at {place}" if place else f"set {VARIABLE} and put its files at {NAME}/"
        how = "" if download else ", or call with download=True where there is a network"
        raise WeightsMissing(
            f"no weights of SDXL-Turbo ({REPOSITORY}, revision {REVISION[:8]}): {brief(error)}; {remedy} in it{how}"
        ) from error
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
        where = place if here else REPOSITORY
        raise EngineError(f"{where}: files that do not fit an SDXL image-to-image pipeline ({brief(error)})") from error
