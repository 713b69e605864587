"""The model's rung: what a model is asked about code, and what its words come to. Pure."""
