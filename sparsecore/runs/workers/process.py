"""`python -m sparsecore.runs.workers.process HOME` trains one run after another for a supervisor.

It loads torch first and then waits for assignments on standard input: the supervisor keeps one spare process
ready, so that a run starts as soon as a user presses Train. When standard input closes, the server has ended:
the process saves its run and ends.
"""

import os
import sys
from pathlib import Path

from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.assignments import Assignments


def main(home: Path) -> None:
    """Get ready, train one run after another, and end with the server."""
    store = Store(home)
    assignments = Assignments(store)
    from sparsecore.runs.workers.warm_up import train_assigned  # takes seconds, in which the server may end

    train_assigned(store, assignments)
    store.close()
    sys.stderr.flush()
    os._exit(0)  # all is saved; taking torch down takes seconds on a busy machine


if __name__ == "__main__":
    main(Path(sys.argv[1]))
