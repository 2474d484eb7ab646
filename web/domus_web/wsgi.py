"""The application for a WSGI server: ``gunicorn domus_web.wsgi:app``."""

import os

from domus.core.settings import Settings
from domus.gateways.registry import gateways_from
from domus_web.app import create_app

app = create_app(Settings.from_env(os.environ), gateways=gateways_from(os.environ))
