"""What this package raises on purpose."""


class StackError(Exception):
    """Something did not start, or the machine lacks something; the message says what and what to do."""
