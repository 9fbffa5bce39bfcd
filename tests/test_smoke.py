"""The main job, in ten lines."""

import syncws


def test_client_and_server_exchange_messages(serve):
    """What a client sends comes back from an echo server, and the close is clean."""
    server = serve()

    with syncws.connect(server.url) as ws:
        ws.send("hello")
        ws.send(b"\x00\xff")
        received = [ws.recv(timeout=10), ws.recv(timeout=10)]

    assert received == ["hello", b"\x00\xff"]
    assert ws.close_code == 1000


def test_scripted_peer_exchanges_messages(ours_and_peer):
    """Both roles talk to a peer that is no library."""
    ws, peer = ours_and_peer()

    peer.send(1, b"to you")
    ws.send("to me")

    assert ws.recv(timeout=10) == "to you"
    assert peer.recv() == (1, b"to me")
