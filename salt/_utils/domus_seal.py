"""Seal what this dom0 says, so that no other dom0 can say it in its name.

Salt's master lets any minion fire any tag with any data, and so even a false return of another
minion. The key stands in this dom0's pillar, which nobody else gets.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

SEAL = "seal"


def sealed(key: str | None, kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return *body* with its seal; without a key, as on a dom0 that has no master, it stays as it is.

    ``kind`` says what is sealed (``run``, ``report``, ``jobs``, ``power``, ``console``): what was said as one
    kind is not taken as another.
    """
    if key is None:
        return dict(body)
    return dict(body) | {SEAL: seal(key, kind, body)}


def seal(key: str, kind: str, body: Mapping[str, Any]) -> str:
    """Return the HMAC-SHA256 of the body, written as the one JSON text that there is for it."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key.encode(), f"{kind}\n{text}".encode(), hashlib.sha256).hexdigest()
