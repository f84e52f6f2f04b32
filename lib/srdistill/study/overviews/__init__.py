"""Overviews of a profile: figures and pages drawn from the stored tables and claims of all notebooks."""
