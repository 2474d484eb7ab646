"""The doors on the Salt master as plain modules, with the dunders that Salt's loader would give them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import salt._logging

# It would print what was logged once more when Python ends, into a stream that is closed by then.
salt._logging.shutdown_temp_handler()

SALT = Path(__file__).resolve().parents[2] / "salt"


def load_door(path: str, **dunders: Any) -> ModuleType:
    """Load a file below ``salt/`` anew; ``opts={...}`` becomes ``__opts__`` and so on."""
    file = SALT / path
    spec = importlib.util.spec_from_file_location(f"door_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    for name, value in dunders.items():
        setattr(module, f"__{name}__", value)
    spec.loader.exec_module(module)
    return module
