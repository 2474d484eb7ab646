"""The one error that the lab raises."""


class LabError(Exception):
    """Something the lab needs is missing or did not work; the text says what, and what to do."""
