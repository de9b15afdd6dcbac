"""Every way to fail."""

import os
import time


class OrderError(Exception):
    """An error of the app's own."""


def handler(event, _context):
    how = event["how"]
    print(f"about to fail: {how}")
    if how == "raise":
        raise OrderError("no such order")
    if how == "exit":
        os._exit(7)
    if how == "never":
        time.sleep(3600)
    if how == "object":
        return object()
    return "fine"
