"""The ladder: rungs that find or answer something, cheapest first."""
