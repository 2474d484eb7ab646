"""Ganeti with its fake hypervisor, in namespaces of its own: nothing of the machine is touched.

The cluster lives in a private mount, network, UTS and PID namespace with a tmpfs over ``/var/lib/ganeti``, and is
gone when the namespace ends. It needs root and Debian's ``ganeti``.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

from bench.harness import LeftOut, require

_SET_UP = r"""
set -eu
work=$1 count=$2
hostname node1.example.test
ip link set lo up
ip addr add 192.0.2.1/32 dev lo
for dir in /var/lib/ganeti /var/log/ganeti /run; do mount -t tmpfs tmpfs "$dir"; done
mkdir -p /run/ganeti /run/lock
mount --bind "$work/hosts" /etc/hosts
gnt-cluster init --enabled-hypervisors=fake --no-ssh-init --no-etc-hosts --master-netdev=lo \
  --enabled-disk-templates=diskless --nic-parameters mode=routed,link=main \
  --ipolicy-bounds-specs "min:cpu-count=1,disk-count=0,disk-size=0,memory-size=32,nic-count=0,spindle-use=0/\
max:cpu-count=8,disk-count=16,disk-size=1048576,memory-size=32768,nic-count=8,spindle-use=12" \
  --ipolicy-std-specs cpu-count=1,disk-count=0,disk-size=0,memory-size=32,nic-count=0,spindle-use=0 \
  cluster.example.test >"$work/init.log" 2>&1
start=$(date +%s.%N)
gnt-instance batch-create "$work/batch.json" >"$work/create.log" 2>&1
end=$(date +%s.%N)
running=$(gnt-instance list --no-headers -o status | grep -c running || true)
echo "$start $end $running"
"""


def instances_per_second(count: int) -> float:
    """Create *count* instances in one batch and return how many a second; raise LeftOut where that cannot be done."""
    require("gnt-instance", "ganeti")
    require("unshare", "util-linux")
    if os.geteuid() != 0:
        raise LeftOut("Ganeti's cluster needs root, for its namespaces")
    with tempfile.TemporaryDirectory(prefix="domus-ganeti-") as name:
        work = Path(name)
        _write_inputs(work, count)
        run = subprocess.run(
            ["unshare", "--mount", "--net", "--uts", "--pid", "--fork", "--mount-proc", "bash", "-s", name, str(count)],
            input=_SET_UP, text=True, capture_output=True, timeout=900, check=False,
        )  # fmt: skip
        if run.returncode != 0:
            log = "".join(path.read_text(encoding="utf-8") for path in sorted(work.glob("*.log")))
            raise LeftOut(f"Ganeti's cluster did not come up: {run.stderr[-300:]} {log[-600:]}")
    start, end, running = run.stdout.split()[-3:]
    if int(running) != count:
        raise LeftOut(f"Ganeti has {running} of {count} instances running")
    return count / (float(end) - float(start))


def _write_inputs(work: Path, count: int) -> None:
    names = [f"i{number}.example.test" for number in range(1, count + 1)]
    hosts = ["127.0.0.1 localhost", "192.0.2.1 node1.example.test node1", "192.0.2.254 cluster.example.test"]
    (work / "hosts").write_text("\n".join(hosts) + "\n", encoding="utf-8")
    batch = [
        {
            "instance_name": name, "mode": "create", "disk_template": "diskless", "hypervisor": "fake",
            "os_type": "debootstrap+default", "disks": [], "nics": [], "pnode": "node1.example.test",
            "beparams": {"maxmem": 64, "minmem": 64, "vcpus": 1}, "start": True,
            "ip_check": False, "name_check": False, "conflicts_check": False,
        }
        for name in names
    ]  # fmt: skip
    (work / "batch.json").write_text(json.dumps(batch), encoding="utf-8")
