"""From numbers to verdicts: questions, intervals, gates, claims and the board of all of them."""
