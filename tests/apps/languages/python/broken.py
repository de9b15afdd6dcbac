"""Fails while it is loaded."""

raise RuntimeError("broken while loading")
