"""The use cases, in plain values: what an editor, a terminal or a CI job can ask for."""
