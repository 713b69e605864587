"""Data flow inside Python code: from where a stranger can write to where it does harm."""
