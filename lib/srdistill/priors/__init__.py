"""From codes to pictures: what a generator is (``prior``), and the generators.

``autoencoder``       trained here, on the training pictures themselves: no download
``tiny_autoencoder``  TAESD and TAEF2, pretrained
``stable_diffusion``  the autoencoder of Stable Diffusion 1, whose codes DiT-XL/2 works on
``stylegan_xl``       StyleGAN-XL on ImageNet, in its W+ and F_n spaces

diffusers is imported when an autoencoder is built, never when these modules are.
"""
