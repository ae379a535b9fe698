"""Searches over densities a layer that this server carries out, each in a process; the supervisor trains.

The process, `sparsecore.runs.sweeps.layer_search_process`, imports torch and Optuna; the server does not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict

from sparsecore.runs.store.database import environment
from sparsecore.runs.store.people import Person
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps.spec import SweepSpec

ORIGIN = "search"  # of the sweeps that a search begins
TOGETHER = os.cpu_count() or 1  # choices of densities that are tried at once


class Searching(threading.Thread):
    """One search of so many trials: `done` of them are over, `front` of these are on the Pareto front.

    `problem` is the sentence that says why it could not go on. A server that ends loses nothing but the
    thread: the same question again goes the same way, and finds the runs that exist.
    """

    def __init__(self, store: Store, spec: SweepSpec, trials: int, by: Person) -> None:
        super().__init__(name="search", daemon=True)
        self.trials, self.by = trials, by
        self.is_ready = self.is_cancelled = False
        self.done = self.front = self.hopeless = self.failed = 0
        self.problem = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sparsecore.runs.sweeps.layer_search_process", str(store.home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(store.home, store.url),
            text=True,
            start_new_session=True,  # Ctrl-C in the server's terminal is the server's
        )
        asked = {"spec": spec.model_dump(mode="json"), "by": asdict(by)}
        question = asked | {"trials": trials, "together": TOGETHER}
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()

    def run(self) -> None:
        for line in self.process.stdout:
            for name, value in json.loads(line).items():
                setattr(self, name, value)
            self.is_ready = True
        code = self.process.wait()
        self.process.stdin.close()
        if code and not (self.problem or self.is_cancelled):
            self.problem = f"its process ended with code {code}; the server's console says why."

    def cancel(self, by: Person) -> None:
        """Try no more; the runs of the choices that are tried now are taken back. Raises `NotYours`."""
        by.require(self.by.owner, ORIGIN, "this search")
        self.is_cancelled = True
        self.process.stdin.close()

    @property
    def is_answered(self) -> bool:
        """Whether all trials are over."""
        return not (self.is_alive() or self.problem or self.is_cancelled)


_asked: dict[tuple[str, str, int], Searching] = {}
_turn = threading.Lock()


def _question(spec: SweepSpec) -> SweepSpec:
    """What a search takes of a spec: its methods and densities are left aside."""
    return spec.model_copy(update={"methods": ("layerwise",), "densities": (1.0,)})


def _key(store: Store, spec: SweepSpec, trials: int) -> tuple[str, str, int]:
    return str(store.home), _question(spec).model_dump_json(), trials


def asked(store: Store, spec: SweepSpec, trials: int) -> Searching | None:
    """The search of this question, if anyone on this server has asked it."""
    return _asked.get(_key(store, spec, trials))


def ask(store: Store, spec: SweepSpec, trials: int, by: Person) -> Searching:
    """Begin it, unless it is going on or answered already: two who ask the same share the answer."""
    with _turn:
        found = asked(store, spec, trials)
        if found is None or not (found.is_alive() or found.is_answered):
            found = _asked[_key(store, spec, trials)] = Searching(store, _question(spec), trials, by)
            found.start()
        return found
