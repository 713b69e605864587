"""Figures as ratios to the raw library, measured in one run. `poe bench` prints them all."""
