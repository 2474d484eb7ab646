"""Domus, the house: what a VPS hosting business knows and decides, in plain Python."""
