"""Bisections that this server carries out, each in a thread; the supervisor trains the runs."""

from __future__ import annotations

import logging
import threading

from sparsecore.runs.store.people import HOST, Person
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.bisection import ORIGIN, Bisection, NoBaseline, Smallest
from sparsecore.runs.sweeps.executors import Cancelled, Elsewhere
from sparsecore.runs.sweeps.spec import FINAL, Cell, SweepSpec

logger = logging.getLogger(__name__)


class Finding(threading.Thread):
    """One bisection; has an `answer` or a `problem`, or looks at `density` with `ended` of `cells` done.

    A server that ends loses nothing but the thread: the same question again finds the runs that exist.
    """

    def __init__(self, store: Store, spec: SweepSpec, tolerance: float, by: Person = HOST) -> None:
        super().__init__(name="bisection", daemon=True)
        self.store, self.spec, self.tolerance, self.by = store, spec, tolerance, by
        self.answer: Smallest | None = None
        self.problem = ""
        self.density, self.ended, self.cells = 1.0, 0, len(spec.seeds)
        self.given_up = threading.Event()

    def run(self) -> None:
        bisection = Bisection(self.store, Elsewhere(self.store), self.spec, self.tolerance, self.by)
        try:
            self.answer = bisection.find(tell=self._tell)
        except Cancelled:
            self._take_back()
        except NoBaseline as error:
            self.problem = str(error)
        except Exception as error:
            logger.exception("A bisection could not go on.")
            self.problem = f"{type(error).__name__}: {error}"

    def cancel(self, by: Person = HOST) -> None:
        """Ask for no more runs; those of the density that is looked at are taken back. Raises `NotYours`."""
        by.require(self.by.owner, ORIGIN, "this bisection")
        self.given_up.set()

    def _tell(self, density: float, cells: list[Cell]) -> None:
        self.density, self.cells = density, len(cells)
        self.ended = sum(cell.status in FINAL for cell in cells)
        if self.given_up.is_set():
            raise Cancelled

    def _take_back(self) -> None:
        spec = self.spec.model_copy(update={"densities": (self.density,)})
        stored.stop(self.store, stored.begin(self.store, spec, ORIGIN, self.by), self.by)


_asked: dict[tuple[str, str, float], Finding] = {}
_turn = threading.Lock()


def _key(store: Store, spec: SweepSpec, tolerance: float) -> tuple[str, str, float]:
    return str(store.home), spec.model_dump_json(), tolerance


def asked(store: Store, spec: SweepSpec, tolerance: float) -> Finding | None:
    """The bisection of this question, if anyone on this server has asked it."""
    return _asked.get(_key(store, spec, tolerance))


def ask(store: Store, spec: SweepSpec, tolerance: float, by: Person = HOST) -> Finding:
    """Begin it, unless it is going on or answered already: two who ask the same share the answer."""
    with _turn:
        found = asked(store, spec, tolerance)
        if found is None or not (found.is_alive() or found.answer):
            found = _asked[_key(store, spec, tolerance)] = Finding(store, spec, tolerance, by)
            found.start()
        return found
