"""Dietz et al., dataset distillation for image super-resolution: gradient matching in pixel space and in latent space.

In reading order: ``distances`` (how far two sets of gradients are apart), ``class_gradients`` (the gradients of a network on
all classes at once), ``real_gradients`` (the networks of the iterations, and what they make of real images), ``settings`` and
``record`` (how a run is set up, and what is kept of it), ``gradient_matching`` (pixels move), ``latent_matching`` (codes of
a generator move; they start from ``priors.inversion``).
"""
