"""Fit and evaluate super-resolution networks."""
