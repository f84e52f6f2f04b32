"""Sets as other people's loaders read them, one format, one file.

``pictures``    PNG files with a card and ``metadata.csv``: any trainer, and Hugging Face's ``datasets``
``basicsr``     HR and LR folders, a list and options: BasicSR and what is built on it
``mosaics``     tiles packed in lossless WebP: the smallest
``dd_ranking``  ``images.pt`` and ``labels.pt``: DD-Ranking; for classification
"""
