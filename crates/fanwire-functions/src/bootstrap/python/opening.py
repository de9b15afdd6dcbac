"""Runs one Lambda handler in Python for Fanwire.

File descriptor 3 is a channel to the host: frames of a 4-byte big-endian length, a type
byte and that many bytes less one (the host's src/channel.rs has the table). Between
events this process is blocked in a read of the channel.

The semantics are those of AWS's Python runtime: how a handler is found, how a result
becomes JSON, what an error looks like. Written for Python 3.9 and later.
"""

import io
import json
import logging
import os
import struct
import sys
import threading
import time

OLDEST_PYTHON = (3, 9)

# Frames from the host.
CONFIGURE = 1
EVENT = 2
# Frames to the host.
READY = 16
INIT_ERROR = 17
STDOUT = 18
STDERR = 19
RECORD = 20
RESPONSE = 21
ERROR = 22
AWS_CALL = 24
LOADED = 25

REQUEST_ID_LENGTH = 36


class Channel:
    """The frames, over a descriptor that no child process of the handler's inherits."""

    def __init__(self, inherited):
        self.fd = os.dup(inherited)
        os.close(inherited)
        self.inbox = b""
        # A handler's threads may print at the same time.
        self.lock = threading.Lock()
        # A forked child must not talk in its parent's name.
        self.forked = False
        os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self):
        self.forked = True
        self.lock = threading.Lock()

    def send(self, kind, payload=b""):
        frame = struct.pack(">IB", len(payload) + 1, kind) + payload
        with self.lock:
            view = memoryview(frame)
            while view:
                try:
                    view = view[os.write(self.fd, view):]
                except BlockingIOError:
                    time.sleep(0.001)
                except OSError:
                    os._exit(0)  # The host is gone: so are we.

    def receive(self):
        """The next frame's type and payload. Blocks; ends the process with the host."""
        self._need(5)
        length, kind = struct.unpack_from(">IB", self.inbox)
        end = 4 + length
        self._need(end)
        payload, self.inbox = self.inbox[5:end], self.inbox[end:]
        return kind, payload

    def _need(self, count):
        if len(self.inbox) >= count:
            return
        pieces, have = [self.inbox], len(self.inbox)
        while have < count:
            try:
                piece = os.read(self.fd, max(65536, count - have))
            except BlockingIOError:
                time.sleep(0.001)
                continue
            if not piece:
                os._exit(0)
            pieces.append(piece)
            have += len(piece)
        self.inbox = b"".join(pieces)


class Raw(io.RawIOBase):
    """What stands behind `sys.stdout` and `sys.stderr`: bytes become frames."""

    def __init__(self, channel, kind, fd):
        self.channel, self.kind, self.fd = channel, kind, fd

    def writable(self):
        return True

    def fileno(self):
        return self.fd

    def write(self, data):
        data = bytes(data)
        if self.channel.forked:
            return os.write(self.fd, data)
        self.channel.send(self.kind, data)
        return len(data)


def text_stream(channel, kind, fd):
    buffered = io.BufferedWriter(Raw(channel, kind, fd))
    return io.TextIOWrapper(
        buffered, encoding="utf-8", errors="backslashreplace", line_buffering=True
    )


class RecordHandler(logging.Handler):
    """Logs of the `logging` module: one record is one log event."""

    def __init__(self, channel):
        super().__init__()
        self.channel = channel

    def emit(self, record):
        try:
            text = self.format(record)
        except Exception:  # pylint: disable=broad-except
            self.handleError(record)
            return
        if self.channel.forked:
            os.write(1, text.encode("utf-8", "backslashreplace"))
            return
        sys.stdout.flush()
        self.channel.send(RECORD, text.encode("utf-8", "backslashreplace"))


# The id of the event in progress, or of the last one.
request_id = None


class RequestIdFilter(logging.Filter):
    def filter(self, record):
        record.aws_request_id = request_id or ""
        return True


def set_up_logging(channel):
    logging.Formatter.converter = time.gmtime
    handler = RecordHandler(channel)
    handler.setFormatter(
        logging.Formatter(
            "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n",
            "%Y-%m-%dT%H:%M:%S",
        )
    )
    handler.addFilter(RequestIdFilter())
    logging.getLogger().addHandler(handler)


