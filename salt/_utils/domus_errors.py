"""The errors of the dom0 side: one root and its classes, told apart by who has to act."""


class DomusError(Exception):
    """Something that Domus on the dom0 could not do; the text is one sentence for an operator."""


class NotValid(DomusError):
    """What was asked for breaks a rule; the text names the field, the value and what is allowed."""


class Refused(DomusError):
    """The deed would destroy or change something that is not provably the one that was meant."""


class ToolFailed(DomusError):
    """A command or a library failed while doing a legitimate thing; secrets are left out."""


class ToolMissing(ToolFailed):
    """A command is not installed here."""
