"""A real Xen dom0 inside QEMU: built from Debian packages, booted on a machine that has no Xen."""

from domus_lab.errors import LabError
from domus_lab.image import LabImage, ensure_image
from domus_lab.machine import LabMachine
from domus_lab.minion import MinionSettings

__all__ = ["LabError", "LabImage", "LabMachine", "MinionSettings", "ensure_image"]
