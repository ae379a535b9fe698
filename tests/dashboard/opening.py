"""A page opened without a browser."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

PAGES = Path(__file__).parents[2] / "pages"
SECONDS = 60  # a busy machine's


def opened(page: str, language: str = "en", **query: str) -> AppTest:
    """The page of this file, in a browser of its own that keeps no cookie: another person each time."""
    app = AppTest.from_file(str(PAGES / page), default_timeout=SECONDS)
    app.session_state["lang"] = language
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    return app
