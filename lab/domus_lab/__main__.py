"""The lab by hand: `python -m domus_lab story|bare|build|boot|ssh|status`."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from domus_lab.errors import LabError
from domus_lab.image import current_image, ensure_image, lab_directory
from domus_lab.machine import LabMachine
from domus_lab.process import running_machines


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    # Also when the output is a pipe, each line is seen when it is said.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "story":
            _tell_story(once=arguments.once, method=arguments.method)
        elif arguments.command == "bare":
            _tell_bare_story()
        elif arguments.command == "build":
            print(ensure_image().directory)
        elif arguments.command == "boot":
            _boot(arguments.mem)
        elif arguments.command == "ssh":
            _login(arguments.words)
        else:
            _status()
    except LabError as error:
        print(f"domus_lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m domus_lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    story = commands.add_parser("story", help="order a VPS and see it run on a real Xen dom0")
    story.add_argument("--once", action="store_true", help="end after the order; the last line is its JSON")
    story.add_argument(
        "--method",
        choices=("image", "bootstrap"),
        default="image",
        help="install from the template, or from packages (%(default)s)",
    )
    commands.add_parser("bare", help="make a dom0 of a bare Debian, and install VPSs there from packages")
    commands.add_parser("build", help="build the dom0 image unless it is there (needs root)")
    boot = commands.add_parser("boot", help="boot a dom0 and keep it until Ctrl-C")
    boot.add_argument("--mem", type=int, default=1024, help="memory of dom0 in MiB")
    ssh = commands.add_parser("ssh", help="log in to the running dom0, or run a command in it")
    ssh.add_argument("words", nargs=argparse.REMAINDER, help="a command for its shell")
    commands.add_parser("status", help="say whether the image is built and what runs")
    return parser


def _tell_story(*, once: bool, method: str) -> None:
    # The rest of the lab needs no Domus around it.
    from domus.core.errors import DomusError  # noqa: PLC0415
    from domus_lab.story import tell  # noqa: PLC0415
    from domus_lab.world import BOOTSTRAP, IMAGE  # noqa: PLC0415
    from domus_stack import StackError  # noqa: PLC0415

    try:
        tell(once=once, template={"image": IMAGE, "bootstrap": BOOTSTRAP}[method])
    except (StackError, DomusError) as error:
        raise LabError(str(error)) from error


def _tell_bare_story() -> None:
    from domus.core.errors import DomusError  # noqa: PLC0415
    from domus_lab.bare_story import tell  # noqa: PLC0415
    from domus_stack import StackError  # noqa: PLC0415

    try:
        tell()
    except (StackError, DomusError) as error:
        raise LabError(str(error)) from error


def _boot(mem_mib: int) -> None:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    with LabMachine(dom0_mem_mib=mem_mib) as machine:
        print(json.dumps(machine.facts().as_dict(), indent=2))
        print("log in with: python -m domus_lab ssh      end with Ctrl-C")
        try:
            signal.pause()
        except KeyboardInterrupt:
            print("lab: ending")


def _login(words: Sequence[str]) -> NoReturn:
    machines = running_machines(lab_directory())
    if not machines:
        raise LabError("no dom0 runs; start one with: python -m domus_lab boot")
    command = machines[-1]["ssh"]
    if not isinstance(command, list):
        raise LabError("the state file of the running dom0 is damaged")
    os.execvp(command[0], [*command, *words])  # noqa: S606 - ssh takes over this terminal


def _status() -> None:
    lab_dir = lab_directory()
    image = current_image(lab_dir)
    report = {
        "directory": str(lab_dir),
        "image": image.directory.name,
        "built": image.exists(),
        **(image.manifest if image.exists() else {}),
        "running": running_machines(lab_dir),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    sys.exit(main())
