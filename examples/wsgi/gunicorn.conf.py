"""
Settings of gunicorn for an application with WebSockets.

Usage: gunicorn --config gunicorn.conf.py flask_chat:app
"""

# Threads that serve HTTP. Handlers that are detached (detach=True) have threads of their own.
worker_class = "gthread"
threads = 4

# One process: the members of a chat find each other in its memory. With more of them, let each
# process subscribe to a broker.
workers = 1

# When a worker is told to stop, syncws closes its connections with 1001 at once.
graceful_timeout = 10

# A connection made here would be the parent's: connect() in the worker, in a view or a hook.
preload_app = False
