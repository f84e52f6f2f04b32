"""Dietz et al., dataset distillation for image super-resolution: gradient matching in pixel space and in latent space."""
