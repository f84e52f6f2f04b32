"""Sets that are chosen: ours, and those of others that they have to beat.

``pyramid_coverage``   tiles of a pyramid that stand for the others
``herded``             shrunken pictures with the mean gradient of many
``priced``             sets of equal bytes
``hard_windows``       full data as strong as it can be
``random_tiles``, ``random_like``, ``hardest_tiles``, ``moser_trimmed``, ``dcsr``   what all this has to beat
"""
