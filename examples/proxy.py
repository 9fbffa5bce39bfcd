"""
Connect through a proxy. Usage: proxy.py URL [PROXY]

PROXY is like http://user:password@host:3128 or socks5h://host:1080, or "none". Without it the one
that the environment has is used: wss_proxy, https_proxy, ..., no_proxy.
"""

import sys

from syncws import InvalidProxyStatus, ProxyError, connect


def main(url, proxy=None):
    options = {"proxy": True if proxy is None else None if proxy == "none" else proxy}
    try:
        with connect(url, **options) as ws:
            ws.send("hello")
            print(ws.recv())
    except InvalidProxyStatus as exc:
        print(f"{exc}; it wrote: {exc.body.decode(errors='replace')[:100]!r}")
    except ProxyError as exc:
        print(exc)
    except OSError as exc:
        print(f"no connection: {exc}")


if __name__ == "__main__":
    main(*sys.argv[1:])
