"""Rules in ast-grep's language, evaluated on our own trees."""
