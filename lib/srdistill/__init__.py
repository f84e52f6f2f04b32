"""Dataset distillation for image super-resolution: methods, protocol, and the tables of three papers.

The packages, from the top down; each imports only what stands below it:

``book``       the site; ``distill`` the command that makes a small set of a folder of pictures
``papers``     a wing for each paper, and one of our own: methods, plans, tables
``study``      from runs to tables: profiles, tasks, store, provenance, claims, figures, runner
``diffusion``  transformers that make pictures, and engines that make them anew
``priors``     from codes to pictures: what a generator is, and the generators
``training``   fit and evaluate super-resolution networks
``sets``       what a small training set is, and the plainest ways to make one
``networks``   the networks that learn: one architecture, one file
``catalogue``  which pictures there are and where they come from; ``measures`` what is measured of pictures
``images``     what a picture is here: reading, resizing, sub-images
``seeds``, ``files``, ``progress``, ``weights``: one random generator per purpose, whole files or none, bars, weight files
"""

import os

# cuBLAS reads this once, when CUDA starts; without it, deterministic matrix products raise.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
