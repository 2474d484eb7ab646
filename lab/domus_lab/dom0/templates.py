# ruff: noqa: INP001 - a script, which has to name the folder of its modules first
"""Runs inside the fresh dom0 tree: Domus's own code builds the template that the lab installs from.

It leaves behind what a dom0 has after its first installation: the template Debian 12, and in the
package cache all that a bootstrap downloads. So a lab needs no network for either.
"""

import sys
from pathlib import Path

sys.path.insert(0, "/root/domus_utils")

from domus_job_log import JobLog
from domus_logged_run import LoggedRunner
from domus_spec import TemplateSpec
from domus_state_dir import StateDir
from domus_template import TemplateStore

# As the sample catalogue names it; name and version make the name of the folder.
TEMPLATE = {
    "name": "debian-12-image",
    "method": "image",
    "distribution": "debian",
    "release": "bookworm",
    "arch": "amd64",
    "version": "1",
}


def main() -> None:
    """Build the template, or end with the last lines of what was said."""
    log = JobLog(Path("/var/log/domus-lab-templates.log"))
    try:
        store = TemplateStore(StateDir("/var/lib/domus"))
        store.ensure(TemplateSpec.parse(TEMPLATE), LoggedRunner(log), lambda part: None)
    except Exception as error:  # noqa: BLE001 - a build that fails says so, whatever the reason
        sys.exit("\n".join([*log.tail, f"the template was not built: {error}"]))


main()
