"""What ``WebSocketApp`` is told in the words of websocket-client, in those of connect()."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Union

from .attempts import is_transient
from .codes import CloseCode
from .exceptions import ConnectionClosed
from .sansio import Headers, HeadersLike

# A list of "Name: value", or what Headers takes.
HeaderLike = Union[Sequence[str], HeadersLike, None]


def headers_of(given: HeaderLike | Callable[[], HeaderLike], cookie: str | None) -> Headers:
    """
    Return the header fields to send.

    Args:
        given: ``"Name: value"`` strings, (name, value) pairs, a dict, or a function that returns
            one of these.
        cookie: a whole Cookie header.

    Raises:
        ValueError: one of them cannot stand in a request.
    """
    found: Any = given() if callable(given) else given
    fields: list[tuple[str, str]] = []
    for field in found.items() if isinstance(found, Mapping) else found or ():
        if isinstance(field, str):
            name, colon, value = field.partition(":")
            if not colon:
                raise ValueError(f"header {name!r}: expected 'Name: value'")
            field = name.strip(), value.strip()
        fields.append(field)
    if cookie is not None:
        fields.append(("Cookie", cookie))
    return Headers(fields)


def tls_of(sslopt: Mapping[str, Any]) -> tuple[ssl.SSLContext | None, str | None]:
    """
    Return the TLS context and the server's name that ``sslopt`` asks for.

    It may have ``context``, ``cert_reqs``, ``check_hostname``, ``ca_certs``, ``ca_cert_path``,
    ``certfile``, ``keyfile``, ``password``, ``ciphers`` and ``server_hostname``.

    Raises:
        TypeError: it has something else.
        OSError: a file cannot be read.
    """
    told = dict(sslopt)
    name = told.pop("server_hostname", None)
    context: ssl.SSLContext | None = told.pop("context", None)
    if told and context is None:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
    if context is None:
        return None, name
    if "ca_certs" in told or "ca_cert_path" in told:
        context.load_verify_locations(told.pop("ca_certs", None), told.pop("ca_cert_path", None))
    if "certfile" in told:
        context.load_cert_chain(
            told.pop("certfile"), told.pop("keyfile", None), told.pop("password", None)
        )
    if "ciphers" in told:
        context.set_ciphers(told.pop("ciphers"))
    required = told.pop("cert_reqs", context.verify_mode)
    # In this order: a name can be checked only where there is a certificate.
    context.check_hostname = told.pop("check_hostname", context.check_hostname) and bool(required)
    context.verify_mode = required
    if told:
        raise TypeError(f"sslopt has {', '.join(map(repr, told))}, which syncws does not know")
    return context, name


def worth_retrying(exc: Exception) -> bool:
    """Tell whether another attempt may go better, and is wanted: not after a normal close."""
    normal = isinstance(exc, ConnectionClosed) and exc.code == CloseCode.NORMAL_CLOSURE
    return is_transient(exc) and not normal
