"""The libraries that are compared, each used in the way that is natural for it.

Each module has ``measure(task)``, which does the client's part and returns figures, or
``serve(sock, task)``, an echo server on a listening socket, or both.
"""
