"""What can be set, and within which limits."""
