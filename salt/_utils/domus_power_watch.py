"""Finds power changes by comparing with what was last seen; the beacon and nothing else uses it."""

from datetime import datetime
from typing import Any

from domus_host import Dom0, stamp
from domus_report import seen_power
from domus_vps_notes import known_uuids

SEEN = "power"


def changes(dom0: Dom0, now: datetime) -> list[dict[str, Any]]:
    """Return the VPSs whose power is not what it was, and remember what it is now.

    The first look ever has nothing to compare with and so finds no change.
    """
    noted = dom0.state_dir.read(".", SEEN)
    domus = {domu.uuid: domu for domu in dom0.hypervisor.list()}
    names = {uuid: domu.name for uuid, domu in domus.items()}
    power = {uuid: list(seen_power(dom0, uuid, domus.get(uuid))) for uuid in known_uuids(dom0.state_dir)}
    if noted is None or noted["power"] != power:
        names = (noted or {"names": {}})["names"] | names
        dom0.state_dir.write(".", SEEN, {"power": power, "names": {u: names.get(u) for u in power}})
    if noted is None:
        return []
    return [
        {
            "uuid": uuid,
            "name": names.get(uuid),
            "power": now_is[0],
            "power_reason": now_is[1],
            "at": stamp(now),
        }
        for uuid, now_is in sorted(power.items())
        if noted["power"].get(uuid, ["absent", ""]) != now_is
    ]
