"""TLS contexts with the certificates in ``certs``: valid for 100 years, their CA's key is gone."""

from __future__ import annotations

import pathlib
import ssl

CERTS = pathlib.Path(__file__).parent / "certs"
CA = CERTS / "ca.pem"


def server_context(name: str = "localhost") -> ssl.SSLContext:
    """Return a context for a server: "localhost", "elsewhere" (another name) or "expired"."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTS / f"{name}.pem")
    return context


def client_context() -> ssl.SSLContext:
    """Return a context for a client that trusts our CA."""
    return ssl.create_default_context(cafile=str(CA))
