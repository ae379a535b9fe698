"""`python -m sparsecore.runs.workers.process HOME` trains one run after another for a supervisor.

It loads torch first, and waits on standard input for the id of a run: the supervisor keeps one such spare
ready, so that a pressed button is answered at once. When that run has ended it waits for another. When
standard input closes, its server is gone: it saves and ends, at once if it has nothing to save.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.orders import Orders


def main(home: Path) -> None:
    """A process of the supervisor's: be ready, train one run after another, end when the server is gone."""
    store = Store(home)
    orders = Orders(store)
    from sparsecore.runs.workers.warm_up import train_orders  # takes seconds, in which the server may end

    train_orders(store, orders)
    store.close()
    sys.stderr.flush()
    os._exit(0)  # nothing is left to do, and to take torch apart would take a busy machine seconds


if __name__ == "__main__":
    main(Path(sys.argv[1]))
