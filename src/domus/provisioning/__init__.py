"""Work under way: jobs, messages to Salt, runs on dom0s, and what dom0s report."""
