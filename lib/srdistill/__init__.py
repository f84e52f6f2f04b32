"""Dataset distillation for image super-resolution: methods, protocol, and the tables of three papers.

The packages, from the top down; each imports only what stands below it:

``study``      from runs to tables: profiles, cells, store, provenance, claims, figures, runner
``distill``    from many pictures to few: one method, one file, one public function
``priors``     from codes to pictures: what a generator is, and the generators
``training``   fit and evaluate super-resolution networks
``networks``   the networks that learn: one architecture, one file
``images``     what a picture is here: reading, resizing, sub-images, named collections, metrics
``seeds``, ``files``, ``progress``, ``weights``: one random generator per purpose, whole files or none, bars, weight files
"""

import os

# cuBLAS reads this once, when CUDA starts; without it, deterministic matrix products raise.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
