"""The dom0 side's own way to seal what it says; Salt finds it by path, too."""

import sys

from tests.support.salt_doors import SALT

if str(SALT / "_utils") not in sys.path:
    sys.path.append(str(SALT / "_utils"))
