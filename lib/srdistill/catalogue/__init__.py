"""Which pictures there are and where they come from: embedded, on disk, or downloaded once and checked by their hash."""
