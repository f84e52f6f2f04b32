"""Baselines that recover pictures from trained networks.

``recovering``   what the methods share
``sre2l``        from one network and the statistics of its norms
``gvbsm``, ``conv_statistics``, ``densification``   from several, with what their convolutions know; classes that spread
``relabelled_source``   G-VBSM's labels: what all of its networks say
"""
