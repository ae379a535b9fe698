"""`python -m sparsecore doctor`: check this machine in about a minute."""

from collections.abc import Callable
from dataclasses import asdict

import typer
from sqlalchemy.exc import DBAPIError

from sparsecore.commands import doctor_checks as checks
from sparsecore.commands.doctor_checks import FROM_PIP, INDENT, Finding
from sparsecore.commands.terminal import FAILED, JsonFlag, answer, show
from sparsecore.runs.store.database import StoreError

app = typer.Typer()

CHECKS: dict[str, Callable[[], Finding]] = {
    check.__name__: check
    for check in (
        checks.python,
        checks.packages,
        checks.assets,
        checks.plotly,
        checks.port,
        checks.settings,
        checks.home,
        checks.disk,
        checks.store,
        checks.clock,
        checks.devices,
        checks.threads,
        checks.compiled,
        checks.train,
    )
}


@app.command()
def doctor(as_json: JsonFlag = False) -> None:
    """Check whether this machine can train and serve the dashboard; exit code 1 if not."""
    findings = {}
    for name, check in CHECKS.items():
        findings[name] = found = _examine(check)
        if not as_json:
            advice = f"\n{INDENT} → {found.advice}" if found.advice else ""
            show(f"{found.verdict:<8} {name:<10} {found.found}{advice}")
    fit = all(found.verdict != "failed" for found in findings.values())
    verdict = "This machine is ready." if fit else "This machine is not ready: see the failed checks."
    rows = [{"name": name} | asdict(found) for name, found in findings.items()]
    answer({"fit": fit, "checks": rows}, as_json, verdict)
    if not fit:
        raise typer.Exit(FAILED)


def _examine(check: Callable[[], Finding]) -> Finding:
    """Run a check; one that raises an exception has failed."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - any exception is a finding
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        return Finding("failed", f"{type(error).__name__}: {reason}", _advice(error))


def _advice(error: Exception) -> str:
    if isinstance(error, ImportError):
        return FROM_PIP
    if isinstance(error, StoreError | DBAPIError):
        return "see the checks home, disk and store"
    return "see the error; other checks may explain it"
