"""The paper's own method, and RDED's collages.

``coreset_patches``   stage 1: the crops that a teacher is surest of (RDED's selection), and random ones
``no_patches``        what is kept of pictures that are made from the class alone
``expansion``, ``latent_mixup``   what is done to a patch in every epoch
``expanded_source``   stage 2 and 3: pictures made anew every epoch, augmented, and labelled in the same pass
``label_drift``       how far labels drift when the pictures are made twice
``engines``           the diffusion models as tasks
``collages``          RDED's: patches of a class in a grid
"""
