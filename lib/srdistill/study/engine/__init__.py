"""Tasks, their keys, the store of what is finished, and who works on them."""
