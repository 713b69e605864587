"""What a model is, where it comes from, and how its files are proven."""
