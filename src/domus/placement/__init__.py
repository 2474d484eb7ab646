"""Where a new VPS goes, and what it holds there."""
