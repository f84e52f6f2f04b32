"""Baselines whose pictures, or codes of a generator, are moved until networks see in them what they see in real ones.

``units``, ``real_batches``   in which units pictures are learned, and which real ones they are compared with
``learned``, ``untrained_prior``   what is moved: pixels, or codes of a generator, which may be one that nobody trained
``dataset_condensation``, ``gradient_distance``   gradients (DC, DSA)
``distribution_matching``   mean features (DM)
``idm``, ``partition``, ``network_queue``   the same for pictures of several cells, with networks that are trained meanwhile
"""
