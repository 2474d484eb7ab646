"""What changes about a contract while it runs: its price and size, and what its unused days are worth."""
