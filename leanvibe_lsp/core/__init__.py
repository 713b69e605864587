"""Plain values that every room may use: text, cancellation, time."""
