"""Runs a whole Domus from a checkout: Salt master, minions, panel and database below one directory.

`Stack` is what the demo, the integration tests, the lab and the benchmarks start.
"""

from domus_stack.errors import StackError
from domus_stack.stack import MinionFiles, Stack

__all__ = ["MinionFiles", "Stack", "StackError"]
