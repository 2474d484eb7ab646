"""Make the virtual environment. Runs under the system's Python, so it uses nothing but the standard library.

Salt's timelib is compiled on the spot: a C compiler and Python's headers are needed. Where they are missing they are
installed if we are root on Debian or Ubuntu; else their packages are named.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

OLDEST = (3, 11)


def missing_packages() -> list[str]:
    """Return the Debian packages that this Python needs to build an environment."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    missing = []
    if shutil.which("cc") is None and shutil.which("gcc") is None:
        # gcc alone recommends the C library's headers and may come without them.
        missing += ["gcc", "libc6-dev"]
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        missing.append(f"python{version}-dev")
    # Debian ships it in a package of its own.
    if importlib.util.find_spec("ensurepip") is None:
        missing.append(f"python{version}-venv")
    return missing


def install(packages: list[str]) -> None:
    """Install Debian packages, or end with a word on which are missing."""
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        sys.exit(f"Domus needs these packages first; as root: {' '.join(command)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "--quiet"], check=True, env=environment)
    subprocess.run(command, check=True, env=environment)


def make(venv: Path) -> None:
    """Make the environment (again) and install the checkout into it."""
    checkout = Path(__file__).resolve().parents[1]
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    pip = [str(venv / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    print(
        f"installing Domus and what it needs into {venv}; the first time this takes a minute or two",
        flush=True,
    )
    subprocess.run([*pip, "install", "--editable", f"{checkout}[dev]"], check=True)


def main() -> None:
    """Check the machine, then make the environment that the first argument names."""
    if sys.version_info < OLDEST:
        sys.exit(
            f"Domus needs Python {OLDEST[0]}.{OLDEST[1]} or newer and {sys.executable} is {sys.version.split()[0]}; "
            "name a newer one with: make PYTHON=python3.12"
        )
    packages = missing_packages()
    if packages:
        if "--installed" in sys.argv:
            sys.exit(
                f"{sys.executable} still lacks what {' '.join(packages)} bring; name another Python: make PYTHON=..."
            )
        install(packages)
        # Python looks for ensurepip when it starts.
        os.execv(sys.executable, [sys.executable, *sys.argv, "--installed"])  # noqa: S606 - ourselves
    try:
        make(Path(sys.argv[1]))
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error.cmd[0]} failed with exit code {error.returncode}; its own words stand above")


if __name__ == "__main__":
    main()
