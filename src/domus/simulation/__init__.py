"""A whole shop in simulated time: people, gateways, a bank and dom0s around the production code, and a judge beside it."""
