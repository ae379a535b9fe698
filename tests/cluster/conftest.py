"""A real Ray on this machine, with a home folder of its own as another machine has."""

import importlib.util
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps.ray import OBJECT_STORE_BYTES
from tests.postgresql import missing


@dataclass
class Cluster:
    """Two cores, and a GPU in name only; its processes take `home` for their own machine's."""

    home: Path
    cores = 2
    gpus = 1


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One Ray for all tests of a session; an executor uses the connection that there is."""
    if importlib.util.find_spec("ray") is None:
        missing("tests on Ray need it: pip install -r requirements-cluster.txt")
    import ray

    home = tmp_path_factory.mktemp("another-machine")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SPARSECORE_HOME", str(home))
        environment.delenv("SPARSECORE_STORE", raising=False)
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        environment.setenv("RAY_agent_register_timeout_ms", "120000")  # on a busy machine
        ray.init(
            "local",
            num_cpus=Cluster.cores,
            num_gpus=Cluster.gpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=OBJECT_STORE_BYTES,
        )
    yield Cluster(home)
    ray.shutdown()


@pytest.fixture
def shared(home: Path, empty_database: str) -> Iterator[Store]:
    """An empty store on PostgreSQL."""
    opened = Store(home, empty_database)
    yield opened
    opened.close()
