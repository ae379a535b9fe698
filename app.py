"""The dashboard: `streamlit run app.py`. Routes, the supervisor's life, and the pages behind navigation."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio.to_thread
import streamlit as st
from sqlalchemy.exc import SQLAlchemyError
from starlette.middleware import Middleware

from sparsecore.corpora import storage
from sparsecore.dashboard import documents
from sparsecore.dashboard.server import components
from sparsecore.dashboard.server.identity import GiveOwner
from sparsecore.dashboard.server.live_route import LiveRoute
from sparsecore.dashboard.server.static import PackedScripts
from sparsecore.dashboard.visitor import door
from sparsecore.engine.cards import CardError, methods, tasks
from sparsecore.runs.store import catalogue
from sparsecore.runs.store.database import StoreError
from sparsecore.runs.store.store import Store
from sparsecore.runs.workers.supervisor import Supervisor

COLLECT_SECONDS = 30.0

logger = logging.getLogger(__name__)

try:
    methods(), tasks()
    store = Store()
    live = LiveRoute(store)
except (
    CardError,
    StoreError,
    ValueError,
) as error:  # without cards, a store or its limits, no page is served
    sys.exit(f"Error: {error}")


@contextlib.asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Workers start and stop with the server; garbage is collected on a clock, not after every click."""
    supervisor = Supervisor(store)
    supervisor.start()
    if code := door().code:
        print(f"  Teacher's code until this server stops: {code} (enter it in the app under You)", flush=True)
    gc.collect()
    gc.freeze()
    collecting = asyncio.create_task(_collect())
    try:
        yield
    finally:
        collecting.cancel()
        await anyio.to_thread.run_sync(supervisor.stop)
        store.close()


async def _collect() -> None:
    while True:
        await asyncio.sleep(COLLECT_SECONDS)
        gc.collect()
        await anyio.to_thread.run_sync(_purge)


def _purge() -> None:
    """Erase the runs and texts that were deleted long ago; what cannot be written to is tried again."""
    try:
        catalogue.purge(store)
        storage.purge(store.home / "corpora", catalogue.UNDO_SECONDS)
    except (StoreError, SQLAlchemyError, OSError) as error:
        logger.warning("Deleted runs or texts could not be erased: %s The server tries again.", error)


app = st.App(
    Path(__file__).parent / "pages" / "_navigation.py",
    routes=[*live.routes(), components.route(), documents.route()],
    middleware=[
        Middleware(PackedScripts),
        Middleware(components.PreloadScripts),
        Middleware(GiveOwner, store=store),
    ],
    lifespan=lifespan,
)
