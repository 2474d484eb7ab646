"""Benchmarks of Domus beside named peers: ratios of medians from one run, never absolute promises."""
