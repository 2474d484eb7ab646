"""The judge: a simple account of its own of what was taken, owed and running. It asks no code of the shop's."""
