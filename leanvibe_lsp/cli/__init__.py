"""The terminal's door: one file per command, no logic."""
