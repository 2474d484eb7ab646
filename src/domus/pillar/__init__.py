"""What one dom0 is told."""
