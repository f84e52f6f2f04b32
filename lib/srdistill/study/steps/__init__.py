"""The kinds of tasks that several wings have; a wing may bring its own ``Step``."""
