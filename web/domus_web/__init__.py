"""The web panels: a door to the house. It parses, calls the workflows, and renders."""

from domus_web.app import create_app

__all__ = ["create_app"]
