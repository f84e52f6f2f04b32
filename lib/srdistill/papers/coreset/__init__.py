"""Diffusion-augmented coreset expansion: selection of patches, their expansion on the fly, soft labels; and its baselines."""
