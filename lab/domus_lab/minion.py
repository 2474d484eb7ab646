"""What the dom0's Salt minion is told: its options, its keys, and which master it may trust."""

from dataclasses import dataclass, field
from typing import Any

import yaml

HOST_AS_SEEN_FROM_DOM0 = "10.0.2.2"
PKI = "/etc/salt/pki/minion"


@dataclass(frozen=True)
class MinionSettings:
    """One minion of a master that listens on the loopback address of this host."""

    options: dict[str, Any]
    """The minion's configuration; its master is `HOST_AS_SEEN_FROM_DOM0`."""
    private_key: bytes = field(repr=False)
    public_key: bytes
    master_public_key: bytes
    """Pinned: the minion refuses any other master."""

    def files(self) -> dict[str, tuple[int, bytes]]:
        """Return the files to write in dom0: path to mode and content."""
        config = yaml.safe_dump(self.options, sort_keys=True).encode()
        return {
            "/etc/salt/minion.d/domus-lab.conf": (0o640, config),
            f"{PKI}/minion.pem": (0o400, self.private_key),
            f"{PKI}/minion.pub": (0o644, self.public_key),
            f"{PKI}/minion_master.pub": (0o644, self.master_public_key),
        }
