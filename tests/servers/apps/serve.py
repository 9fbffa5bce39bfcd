"""
Serve an application with a server that is a library: ``serve.py SERVER MODULE PORT [CERTIFICATE]``.

With a certificate the server does TLS itself.
"""

from __future__ import annotations

import contextlib
import importlib
import signal
import ssl
import sys


def main(server, module, port, certificate=None):
    """Run until Ctrl-C."""
    # A background job may be born deaf to it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if server == "gevent":
        from gevent import monkey

        monkey.patch_all()
    if server == "eventlet":
        import eventlet

        eventlet.monkey_patch()
    application = importlib.import_module(module).application
    with contextlib.suppress(KeyboardInterrupt):
        globals()[f"with_{server}"](application, ("127.0.0.1", int(port)), certificate)


def with_wsgiref(application, address, certificate):
    from wsgiref.simple_server import make_server

    with make_server(*address, application) as server:
        if certificate:
            server.socket = context_for(certificate).wrap_socket(server.socket, server_side=True)
        server.serve_forever()


def with_werkzeug(application, address, certificate):
    from werkzeug.serving import WSGIRequestHandler, run_simple

    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    context = context_for(certificate) if certificate else None
    run_simple(*address, application, threaded=True, ssl_context=context)


def with_cheroot(application, address, certificate):
    from cheroot.ssl.builtin import BuiltinSSLAdapter
    from cheroot.wsgi import Server

    server = Server(address, application, numthreads=64)
    if certificate:
        server.ssl_adapter = BuiltinSSLAdapter(certificate, certificate)
    server.safe_start()


def with_gevent(application, address, certificate):
    from gevent.pywsgi import WSGIServer

    options = {"ssl_context": context_for(certificate)} if certificate else {}
    WSGIServer(address, application, **options).serve_forever()


def with_eventlet(application, address, certificate):
    import eventlet
    import eventlet.wsgi

    listener = eventlet.listen(address)
    if certificate:
        listener = eventlet.wrap_ssl(listener, certfile=certificate, server_side=True)
    eventlet.wsgi.server(listener, application)


def with_waitress(application, address, certificate):
    import waitress

    waitress.serve(application, host=address[0], port=address[1], threads=4)


def context_for(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


main(*sys.argv[1:])
