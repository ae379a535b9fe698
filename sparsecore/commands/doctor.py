"""`python -m sparsecore doctor`: check this machine in about a minute."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict

import typer
from sqlalchemy.exc import DBAPIError

from sparsecore.commands import doctor_checks as checks
from sparsecore.commands.doctor_checks import FROM_PIP, INDENT, Finding
from sparsecore.commands.terminal import FAILED, JsonFlag, show
from sparsecore.runs.store.database import StoreError

app = typer.Typer()

Check = Callable[[], Finding]
CHECKS: dict[str, Check] = {
    "python": checks.python,
    "packages": checks.packages,
    "assets": checks.assets,
    "plotly": checks.plotly_script,
    "port": checks.port,
    "settings": checks.settings,
    "home": checks.home,
    "disk": checks.disk,
    "store": checks.store,
    "clock": checks.clock,
    "devices": checks.devices,
    "threads": checks.threads,
    "compiled": checks.compiled,
    "train": checks.train,
}


@app.command()
def doctor(as_json: JsonFlag = False) -> None:
    """Check whether this machine can train and serve the dashboard; exit code 1 if not."""
    findings = []
    for finding in examine():
        findings.append(finding)
        if not as_json:
            show(_line(finding))
    fit = all(finding.verdict != "failed" for finding in findings)
    if as_json:
        print(json.dumps({"fit": fit, "checks": [asdict(each) for each in findings]}, ensure_ascii=False))
    else:
        show("This machine is ready." if fit else "This machine is not ready: see the failed checks.")
    if not fit:
        raise typer.Exit(FAILED)


def _line(finding: Finding) -> str:
    advice = f"\n{INDENT} → {finding.advice}" if finding.advice else ""
    return f"{finding.verdict:<8} {finding.name:<10} {finding.found}{advice}"


def examine() -> Iterator[Finding]:
    """Run every check, quick ones first; a check that raises an exception has failed."""
    for name, check in CHECKS.items():
        try:
            yield check()
        except Exception as error:  # noqa: BLE001 - any exception is a finding
            reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
            yield Finding(name, "failed", f"{type(error).__name__}: {reason}", _advice(error))


def _advice(error: Exception) -> str:
    if isinstance(error, ImportError):
        return FROM_PIP
    if isinstance(error, StoreError | DBAPIError):
        return "see the checks home, disk and store"
    return "see the error; other checks may explain it"
