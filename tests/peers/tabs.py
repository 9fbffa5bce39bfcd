"""Pages in the browser, and what can be waited for in them."""

from __future__ import annotations

import contextlib

from peers.remotes import PEERS, load

# Resolves to the value of EXPRESSION as soon as a change of the document makes it true.
ONCE = """
    new Promise(resolve => {
        const look = () => { const value = EXPRESSION; if (value) resolve(value); };
        new MutationObserver(look).observe(
            document, {childList: true, subtree: true, characterData: true});
        look();
    })
"""


@contextlib.contextmanager
def tab():
    """Open an empty page; the test is skipped where there is no browser."""
    chromium = load(next(peer for peer in PEERS if peer.name == "chromium"))
    with contextlib.closing(chromium.Tab()) as opened:
        yield opened


def once(tab, expression):
    """Wait until JavaScript finds something in the document; return it."""
    return tab.run(ONCE.replace("EXPRESSION", expression))
