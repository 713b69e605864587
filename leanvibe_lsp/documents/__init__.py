"""The text a person works on: our own store, frozen snapshots, syntax, and what a model gets to see of it."""
