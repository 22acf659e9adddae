"""Opening the live page where somebody sits who can look at it."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser


def can_show() -> bool:
    """Whether somebody is at a terminal, and there is a display and a browser for it."""
    if not sys.stdout.isatty():
        return False
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False  # what would be found is a browser for this very terminal
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def show(url: str) -> None:
    """Open `url`, and wait for nothing: some browsers return only when they are closed."""
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
