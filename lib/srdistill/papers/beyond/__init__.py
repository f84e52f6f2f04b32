"""Beyond the papers: the best small training set for super-resolution that can be selected or distilled."""
