"""The VPS: its life, what is wanted of it and what was seen."""
