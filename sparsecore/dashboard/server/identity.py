"""Identify a browser by a signed random token in a cookie, or by its signed-in account.

The token is given with the first page and never leaves the cookie; the store sees a digest of it. No script
of a page can read it (HttpOnly), and no other site sends it along (SameSite=Lax).
"""

import hashlib
import json
import logging
import secrets
from collections.abc import Mapping
from functools import cache
from http.cookies import SimpleCookie
from typing import Any

import anyio.to_thread
from itsdangerous import BadSignature, URLSafeSerializer
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.auth_util import get_cookie_with_chunks
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from sparsecore.dashboard.server.static import is_page, under_base
from sparsecore.runs.store.database import StoreError
from sparsecore.runs.store.store import Store

KEPT_SECONDS = 400 * 24 * 3600  # as long as browsers keep any cookie
LENGTH = 32  # of an owner's digest, as the store has it

logger = logging.getLogger(__name__)


def digest(identity: str) -> str:
    """Return the owner of a token or account, a digest that reveals neither."""
    return hashlib.sha256(identity.encode()).hexdigest()[:LENGTH]


class OwnerCookies:
    """The owners' tokens of one store, made and read.

    >>> cookies = OwnerCookies("a secret")
    >>> value = cookies.fresh()
    >>> cookies.owner({cookies.name: value}) == cookies.owner({cookies.name: value}), cookies.owner({})
    (True, None)
    """

    def __init__(self, secret: str) -> None:
        self._serializer = URLSafeSerializer(secret, salt="owner")
        # A browser sends cookies to every port of a machine: those of another store have another name.
        self.name = f"sparsecore_owner_{digest(secret)[:8]}"

    def fresh(self) -> str:
        """Make the cookie of a new browser."""
        return self._serializer.dumps(secrets.token_urlsafe(24))

    def owner(self, cookies: Mapping[str, str]) -> str | None:
        """Return the owner of these cookies; None without a valid one."""
        try:
            return digest(str(self._serializer.loads(cookies.get(self.name, ""))))
        except BadSignature:
            return None


def account(cookies: Mapping[str, str], origin: str) -> str | None:
    """Return the owner of the signed-in account, from Streamlit's signed cookie; None if not signed in."""

    def read(name: str) -> bytes | None:
        value = cookies.get(name)
        return value and decode_signed_value(get_cookie_secret(), name, value.encode("latin-1"))

    signed = get_cookie_with_chunks(read, USER_COOKIE_NAME)
    claims = json.loads(signed) if signed else {}
    signed_in = claims.get("is_logged_in") and claims.get("origin") == origin
    return account_owner(claims) if signed_in else None


def account_owner(claims: Mapping[str, Any]) -> str:
    """The owner of an account by its provider's claims: the subject never changes, an address may."""
    return digest(f"account {claims.get('iss')} {claims.get('sub') or claims.get('email')}")


@cache
def owner_cookies(store: Store) -> OwnerCookies:
    """The cookies of a store: any server on it reads what another has given."""
    return OwnerCookies(store.setting("owner_secret", lambda: secrets.token_hex(32)))


class GiveOwner:
    """Middleware that gives a browser its token with the first page it requests."""

    def __init__(self, app: ASGIApp, store: Store) -> None:
        self.app, self.store = app, store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_page(scope):
            await self.app(scope, receive, send)
            return
        try:
            cookies = await anyio.to_thread.run_sync(owner_cookies, self.store)
        except StoreError as error:  # the page itself says so
            logger.warning("%s", error)
            await self.app(scope, receive, send)
            return

        async def giving(message: Message) -> None:
            if message["type"] == "http.response.start":
                value = cookies.fresh()
                header = _header(cookies.name, value, secure=scope["scheme"] == "https")
                message["headers"] = [*message.get("headers", ()), (b"set-cookie", header)]
            await send(message)

        known = cookies.owner(HTTPConnection(scope).cookies) is not None
        await self.app(scope, receive, send if known else giving)


def _header(name: str, value: str, *, secure: bool) -> bytes:
    cookie: SimpleCookie = SimpleCookie({name: value})
    cookie[name].update(
        {"path": under_base("/"), "max-age": KEPT_SECONDS, "httponly": True, "samesite": "Lax"}
    )
    if secure:
        cookie[name]["secure"] = True
    return cookie[name].OutputString().encode("latin-1")
