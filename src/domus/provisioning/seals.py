"""The seal on what a dom0 says (``docs/contracts.md`` 6).

Salt's master lets any minion fire any tag with any data, and so even a false return of another minion. Who
holds one dom0's key could otherwise speak for the whole fleet.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

SEAL = "seal"

#: What Salt itself puts into the data of an event.
_SALTS_OWN = frozenset({"id", "_stamp", SEAL})


def is_genuine(key: str, kind: str, message: Mapping[str, Any]) -> bool:
    """Tell whether *message* bears the seal of whoever has the key, for this very kind of message."""
    found = message.get(SEAL)
    if not isinstance(found, str) or not found.isascii():
        return False
    body = {name: value for name, value in message.items() if name not in _SALTS_OWN}
    try:
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    except (TypeError, ValueError):
        return False
    expected = hmac.new(key.encode(), f"{kind}\n{text}".encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(found.encode(), expected.encode())
