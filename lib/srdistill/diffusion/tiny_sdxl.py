"""An SDXL image-to-image pipeline of some ten thousand random weights, on which diffusers' own code runs.

It takes SDXL-Turbo's place in rehearsals, whose 3.5 billion weights in float32 fit no machine without a GPU, and in tests.
"""

import string

import torch

from srdistill.images.torchvision_import import import_torchvision


def tiny_sdxl(seed: int = 0):
    """Latents of 4 x side / 2, the sampler of SDXL-Turbo, a tokenizer of single letters."""
    import_torchvision()
    from diffusers import (
        AutoencoderKL,
        EulerAncestralDiscreteScheduler,
        StableDiffusionXLImg2ImgPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    letters = string.ascii_lowercase + string.digits + "_"
    vocabulary = {name: index for index, name in enumerate(
        ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    )}  # fmt: skip
    text = CLIPTextConfig(
        vocab_size=len(vocabulary), hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        projection_dim=16, max_position_embeddings=77, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(
            sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, attention_head_dim=(2, 2),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=32, addition_embed_type="text_time", addition_time_embed_dim=4,
            projection_class_embeddings_input_dim=6 * 4 + 16, use_linear_projection=True,
        )  # fmt: skip
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, block_out_channels=(8, 8),
            norm_num_groups=4, layers_per_block=1, scaling_factor=0.13025,
        )  # fmt: skip
        encoders = CLIPTextModel(text), CLIPTextModelWithProjection(text)
    tokenizers = [CLIPTokenizer(vocab=dict(vocabulary), merges=[], model_max_length=77) for _ in range(2)]
    scheduler = EulerAncestralDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="trailing"
    )
    pipeline = StableDiffusionXLImg2ImgPipeline(
        vae=vae, text_encoder=encoders[0].eval(), text_encoder_2=encoders[1].eval(), tokenizer=tokenizers[0],
        tokenizer_2=tokenizers[1], unet=unet.eval(), scheduler=scheduler, add_watermarker=False,
    )  # fmt: skip
    vae.eval()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
