"""The peers: each makes with its own means what Domus makes, on the same target in the same run."""
