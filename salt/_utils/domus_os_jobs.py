"""The desk where installations are asked for: between Salt's doors and the queue."""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from domus_errors import NotValid, ToolFailed
from domus_isolation import run_isolated
from domus_job import Job, JobStore, is_removal, must_queue, public
from domus_job_log import JobLog, read_tail
from domus_logged_run import LoggedRunner
from domus_request import SCHEMA_VERSION, plan
from domus_spec import Dom0Spec, TemplateSpec, VpsSpec
from domus_state_dir import StateDir
from domus_template import TemplateStore
from domus_worker_start import ensure_worker

MISSING = "missing"


class Desk:
    """Takes orders for installations from one dom0's pillar."""

    def __init__(self, opts: Mapping[str, Any], pillar: Mapping[str, Any]) -> None:
        self._options: Mapping[str, Any] = opts.get("domus") or {}
        self._pillar: Mapping[str, Any] = pillar.get("domus") or {}
        self._state_dir = StateDir.from_options(opts)
        self._store = JobStore(self._state_dir)
        self._templates = TemplateStore(self._state_dir)

    def templates(self) -> list[dict[str, Any]]:
        """Return the templates that the pillar names, and how each stands here."""
        names = sorted(self._pillar.get("templates") or {})
        return [self._info(self._template(name)) for name in names]

    def build(self, name: str) -> dict[str, Any]:
        """Build a template unless it is ready."""
        spec = self._template(name)
        if not self._is_ready(spec):
            log = JobLog(self._state_dir.file("templates", spec.name, ".log"))
            _in_child(lambda: self._build(spec, log))
            if not self._templates.is_ready(spec):
                raise ToolFailed(f"Template {name} was not built: {_last_line(log)}")
        return self._info(spec)

    def install(self, uuid: str, *, replace: bool = False) -> Job:
        """Queue an installation unless that would be one too many; return its job."""
        vps = self._vps(uuid)
        template = self._template(vps.os.template)
        with self._store.hold(uuid) as free:
            job = self._store.read(uuid)
            if free and (job is None or replace or self._is_missing(job, vps)):
                job = self._store.enqueue(
                    self._request(uuid, vps),
                    plan(template, template_ready=self._is_ready(template)),
                    may_format=replace,
                )
        ensure_worker(self._store)
        if job is None:
            raise ToolFailed(f"Another installation of {uuid} is just being put on record")
        if is_removal(job):
            raise ToolFailed(
                f"The volumes of {uuid} are just being wiped; nothing is installed before that has ended"
            )
        return public(job)

    def status(self, uuid: str) -> dict[str, Any]:
        """Return how the wanted installation stands, and the job on record."""
        vps = self._vps(uuid)
        job = self._store.read(uuid)
        missing = job is None or self._is_missing(job, vps)
        return {
            "state": MISSING if missing or job is None else job["state"],
            "install_id": vps.os.install_id,
            "job": None if job is None else public(job),
        }

    def progress(self, uuid: str) -> Job | None:
        """Return the newest job of a VPS."""
        job = self._store.read(uuid)
        return None if job is None else public(job)

    def log(self, uuid: str, lines: int) -> list[str]:
        """Return the end of a job's log."""
        return read_tail(self._state_dir.file("jobs", uuid, ".log"), lines)

    def _is_missing(self, job: Job, vps: VpsSpec) -> bool:
        wanted = must_queue(job, vps.os.install_id, vps.os.attempt)
        return wanted or self._store.is_lost(vps.uuid, job)

    def _info(self, spec: TemplateSpec) -> dict[str, Any]:
        info = self._templates.info(spec)
        return info | {"state": "ready"} if self._is_ready(spec) else info

    def _is_ready(self, spec: TemplateSpec) -> bool:
        # A simulated installation copies nothing, so it needs no template.
        return self._dom0().backend == "simulated" or self._templates.is_ready(spec)

    def _build(self, spec: TemplateSpec, log: JobLog) -> None:
        try:
            self._templates.ensure(spec, LoggedRunner(log), lambda part: None)
        except ToolFailed as error:
            log.line(str(error))

    def _dom0(self) -> Dom0Spec:
        if "dom0" not in self._pillar:
            raise NotValid("This minion has no pillar domus:dom0, so it is no dom0 of Domus")
        return Dom0Spec.parse(self._pillar["dom0"], "domus.dom0")

    def _template(self, name: str) -> TemplateSpec:
        known = self._pillar.get("templates") or {}
        if name not in known:
            allowed = ", ".join(sorted(known)) or "none"
            raise NotValid(f"There is no template {name!r} on this dom0; allowed: {allowed}")
        return TemplateSpec.parse(known[name], f"domus.templates.{name}")

    def _vps(self, uuid: str) -> VpsSpec:
        entries = self._pillar.get("vps") or {}
        if uuid not in entries:
            raise NotValid(f"The pillar of this dom0 has no VPS {uuid!r}")
        vps = VpsSpec.parse(entries[uuid])
        if vps.uuid != uuid:
            raise NotValid(f"The pillar entry {uuid} is that of {vps.uuid}")
        return vps

    def _request(self, uuid: str, vps: VpsSpec) -> dict[str, Any]:
        request = {
            "schema_version": SCHEMA_VERSION,
            "vps": self._pillar["vps"][uuid],
            "dom0": self._pillar["dom0"],
            "template": self._pillar["templates"][vps.os.template],
            "options": self._options,
        }
        # Salt hands out maps of its own kind; the request holds plain ones.
        plain: dict[str, Any] = json.loads(json.dumps(request))
        return plain


def _last_line(log: JobLog) -> str:
    """Return the last line of a log."""
    return log.tail[-1] if log.tail else "it said nothing"


def _in_child(function: Callable[[], None]) -> None:
    """Run a function in a process with namespaces of its own, as the worker does with a job."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            code = run_isolated(lambda: _zero_after(function))
        finally:
            os._exit(code)
    os.waitpid(pid, 0)


def _zero_after(function: Callable[[], None]) -> int:
    function()
    return 0
