"""A link that an older version of the Lab wrote opens it with the settings that it names."""

from pathlib import Path

import pytest

from sparsecore.dashboard import session
from sparsecore.engine.config import PARAMETERS
from tests.dashboard.opening import opened
from tests.older_data import SPIRALS, older_home

LINK = {
    "task": "spirals",
    "size": "demo",
    "method": "global",
    "density": "0.25",
    "seed": "7",
    "learning_rate": "0.02",
    "noise": "0.2",
    "theta": "0",
    "max_steps": "500",
    "device": "cpu",
    "schedule": "cubic",
    "schedule_start": "0.9",
    "schedule_steps": "50",
    "mode": "latent",
    "keep_alive": "1",
    "keep_alive_layer": "2",
    "freeze_at": "300",
    "freeze_settled": "40",
    "certificate": "end",
    "split": "random",
    "watch": "validation",
    "class_weights": "0.1",
    "label_smoothing": "0.05",
    "dropout": "0.1",
    "word_dropout": "0",
    "precision": "auto",
}


@pytest.fixture
def _older(home: Path):
    older_home(home)
    session.the_store.cache_clear()
    yield
    session.the_store().close()
    session.the_store.cache_clear()


@pytest.mark.usefixtures("_older")
def test_every_parameter_of_the_link_is_set():
    app = opened("lab.py", **LINK)
    for name, text in LINK.items():
        assert app.session_state[name] == PARAMETERS[name].read(text), name


@pytest.mark.usefixtures("_older")
def test_a_link_to_a_run_shows_it_with_its_settings():
    app = opened("lab.py", run=SPIRALS)
    assert app.query_params["run"] == SPIRALS
    settings = [app.session_state[name] for name in ("task", "method", "density", "max_steps")]
    assert settings == ["spirals", "global", 0.3, 40]
