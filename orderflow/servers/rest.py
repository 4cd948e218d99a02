"""REST for the sync and async servers: one place that decides time-outs, trust and what an error looks like."""
from __future__ import annotations

import ssl

import httpx

from orderflow.exchanges.session import Request

TIMEOUT = httpx.Timeout(10.0, connect=10.0)


def trust(ca_file: str | None) -> ssl.SSLContext:
    """Certificates are verified always; `ca_file` names the only authorities to trust (a simulator's own)."""
    return ssl.create_default_context(cafile=ca_file)


def client(ca_file: str | None) -> httpx.Client:
    """A blocking client."""
    return httpx.Client(verify=trust(ca_file), timeout=TIMEOUT, trust_env=ca_file is None)


def async_client(ca_file: str | None) -> httpx.AsyncClient:
    """A client for the event loop."""
    return httpx.AsyncClient(verify=trust(ca_file), timeout=TIMEOUT, trust_env=ca_file is None)


def refusal(error: Exception, request: Request) -> tuple[int, bytes]:
    """(0, why) for a call that got no answer."""
    return 0, f"{request.method} {request.url.partition('?')[0]}: {error or type(error).__name__}".encode()


def call(using: httpx.Client, request: Request) -> tuple[int, bytes]:
    """(status, body); status 0 = no answer, the body says why."""
    try:
        answer = using.request(request.method, request.url, headers=dict(request.headers), content=request.body or None)
    except httpx.HTTPError as error:
        return refusal(error, request)
    return answer.status_code, answer.content


async def call_async(using: httpx.AsyncClient, request: Request) -> tuple[int, bytes]:
    """The same from an event loop."""
    try:
        answer = await using.request(request.method, request.url, headers=dict(request.headers),
                                     content=request.body or None)
    except httpx.HTTPError as error:
        return refusal(error, request)
    return answer.status_code, answer.content
