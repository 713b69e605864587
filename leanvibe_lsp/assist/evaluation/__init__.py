"""How good the answers are: labelled cases, what is measured on them, and how it is shown."""
