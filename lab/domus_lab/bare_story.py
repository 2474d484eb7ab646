"""`python -m domus_lab bare`: a bare Debian becomes a dom0, and two VPSs are installed there from packages."""

import json
import signal
import time
from typing import Any

from rich.console import Console

from domus_lab.archive import ArchiveServer
from domus_lab.bare import archive_of, ensure_bare_image
from domus_lab.bare_machine import BareMachine
from domus_lab.bare_world import BareWorld
from domus_lab.errors import LabError
from domus_lab.image import lab_directory
from domus_lab.world import BOOTSTRAP
from domus_stack.customer import Credentials, Customer, new_password
from domus_stack.story import progress_on, sign_in

BOOT_LIMIT_SECONDS = 900


def tell() -> None:
    """Tell the story; the last line is its JSON."""
    console = Console(highlight=False)

    def say(text: str) -> None:
        console.print(text, markup=False)

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    image = ensure_bare_image(lab_directory(), say=say)
    with ArchiveServer(archive_of(image)) as archive:
        machine = BareMachine(archive, boot_limit_seconds=BOOT_LIMIT_SECONDS, say=say)
        with BareWorld(machine, say=say) as world:
            told = _make(world, say_changes=console)
            customer = sign_in(
                world.stack.panel.url, "Ada", Credentials("ada@domus.example", new_password()), is_new=True
            )
            told |= _order(world, archive, customer, console, "cold")
            archive.stop()
            say("The archive is unreachable from now on.")
            told |= _order(world, archive, customer, console, "warm")
    print(json.dumps(told), flush=True)


def _make(world: BareWorld, *, say_changes: Console) -> dict[str, Any]:
    started = time.monotonic()
    made = world.make_dom0()
    for identity, state in made.first.items():
        say_changes.print(f"  {identity}: {state['comment']}", markup=False)
    changed = [identity for identity, state in made.second.items() if state["changes"]]
    if changed or not all(state["result"] for state in made.second.values()):
        raise LabError(f"the second state.apply dom0 was not at ease: {made.second}")
    return {"seconds_to_dom0": round(time.monotonic() - started, 1)}


def _order(
    world: BareWorld, archive: ArchiveServer, customer: Customer, console: Console, cache: str
) -> dict[str, Any]:
    hostname, before = f"{cache}.example.org", len(archive.packages_fetched())
    with progress_on(console, hostname) as show:
        vps = world.order(customer, hostname, template=BOOTSTRAP, show=show)
    return {
        f"{cache}_seconds_paid_to_ssh": vps.seconds_paid_to_ssh,
        f"{cache}_packages_fetched": len(archive.packages_fetched()) - before,
    }
