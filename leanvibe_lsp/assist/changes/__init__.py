"""Changes of code: what a person wants, what the model wrote, and everything that is checked before it is an edit."""
