"""Findings of many files at once, and how they are told: to a person, to a machine, to a code host."""
