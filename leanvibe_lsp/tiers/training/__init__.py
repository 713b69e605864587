"""How the small classifiers are made: `leanvibe train`. What is made is evaluated without any of this."""
