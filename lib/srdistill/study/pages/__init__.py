"""What a reader sees: descriptions, tables, figures and what is saved of them."""
