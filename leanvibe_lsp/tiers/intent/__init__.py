"""What a request typed in an editor is about: slash commands, clear words, then a small linear model."""
