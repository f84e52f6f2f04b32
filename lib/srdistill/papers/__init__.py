"""The wings: a package for each paper, with its methods, its plan and its printed rows. No arrow between wings."""
