"""What customers and operators change about a contract that runs: another size, its end, its money, its owner."""
