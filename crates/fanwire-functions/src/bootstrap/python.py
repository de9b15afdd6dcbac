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


# === Errors ===


class Fault(Exception):
    """An error with a type of the platform's."""

    def __init__(self, kind, message, trace=None):
        super().__init__(message)
        self.kind, self.message, self.trace = kind, message, trace


def error_payload(message, kind, trace):
    return {
        "errorMessage": message or "",
        "errorType": kind or "",
        "requestId": request_id or "",
        "stackTrace": trace or [],
    }


def describe(error):
    """The payload for any exception; the frames of this file are left out."""
    if isinstance(error, Fault):
        return error_payload(error.message, error.kind, error.trace)
    import traceback  # Takes a while, and most functions do not fail.

    frames = traceback.extract_tb(error.__traceback__)
    own = next((n for n, frame in enumerate(frames) if frame.filename != __file__), 0)
    trace = traceback.format_list(frames[own:])
    return error_payload(str(error), type(error).__name__, trace)


def log_error(channel, payload):
    title = "[ERROR]"
    if payload["errorType"]:
        title += " " + payload["errorType"] + (":" if payload["errorMessage"] else "")
    if payload["errorMessage"]:
        title += " " + payload["errorMessage"]
    lines = [title, "Traceback (most recent call last):"]
    for entry in payload["stackTrace"]:
        lines.extend(entry.splitlines())
    channel.send(RECORD, "\n".join(lines).encode("utf-8", "backslashreplace"))


# === JSON ===

# Surrounds the digits of a Decimal in the text of `json`, which cannot be told to
# write a number with more digits than a float has. Random: no value can hold it.
MARK = os.urandom(16).hex()


class Encoder(json.JSONEncoder):
    marked = False

    def default(self, o):
        # A value of a type that nobody imported cannot be a Decimal.
        decimal = sys.modules.get("decimal")
        if decimal is not None and isinstance(o, decimal.Decimal):
            if o.is_nan():
                return float("nan")
            self.marked = True
            return MARK + str(o) + MARK
        return super().default(o)


def to_json(value):
    encoder = Encoder()
    text = encoder.encode(value)
    if encoder.marked:
        text = text.replace('"' + MARK, "").replace(MARK + '"', "")
    return text


def marshal(result):
    if isinstance(result, bytes):
        return result
    try:
        return to_json(result).encode("utf-8")
    except Exception as error:  # pylint: disable=broad-except
        raise Fault("Runtime.MarshalError", "Unable to marshal response: " + str(error)) from error


# === The context ===


class Record:
    """An object with named fields, made from a dict that may lack them."""

    __slots__ = ()

    def __init__(self, values):
        for field in self.__slots__:
            setattr(self, field, values.get(field))

    def __repr__(self):
        fields = ",".join("%s=%s" % (field, getattr(self, field)) for field in self.__slots__)
        return "%s([%s])" % (type(self).__name__, fields)


class CognitoIdentity(Record):
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")


class Client(Record):
    __slots__ = (
        "installation_id",
        "app_title",
        "app_version_name",
        "app_version_code",
        "app_package_name",
    )


class ClientContext(Record):
    __slots__ = ("custom", "env", "client")

    def __init__(self, values):
        super().__init__(values)
        self.client = Client(self.client) if self.client is not None else None


class LambdaContext:
    log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
    log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
    function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
    memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
    function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")

    def __init__(self, arn, deadline, client_context):
        self.aws_request_id = request_id
        self.invoked_function_arn = arn
        self.tenant_id = None
        self.client_context = ClientContext(client_context) if client_context else None
        self.identity = CognitoIdentity({})
        self._deadline = deadline

    def get_remaining_time_in_millis(self):
        return max(0, int(self._deadline) - int(time.time() * 1000))

    def log(self, message):
        sys.stdout.write(str(message))

    def __repr__(self):
        return "LambdaContext([aws_request_id=%s,function_name=%s,invoked_function_arn=%s])" % (
            self.aws_request_id,
            self.function_name,
            self.invoked_function_arn,
        )


# === Where connections go ===

AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
# More hosts than one function calls; the host tells each service once.
MOST_REPORTED = 256


def install_redirect(channel, own_port, hosts):
    """Clients look names up with `socket.getaddrinfo`: names that are ours get our
    address and port there, and all others pass as they are. Code that gives a name to
    `connect` of a bare socket is not reached."""
    import re
    import socket

    patterns = "|".join(re.escape(host).replace(r"\*", "[^.]+") for host in hosts)
    served = re.compile(patterns or r"(?!)", re.IGNORECASE)
    own_name = re.compile(r"localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\]", re.IGNORECASE)
    reported = set()
    original = socket.getaddrinfo

    def is_ours(host, wanted):
        # Some clients are given `localhost:3001` as a host, beside the port of https.
        name, _, own = host.rpartition(":")
        if own == str(own_port) and (own_name.fullmatch(name) or served.fullmatch(name)):
            return True
        if served.fullmatch(host):
            return str(wanted) in ("None", "443", "80", "https", "http", str(own_port))
        if host.lower().endswith(AWS_DOMAINS) and host not in reported and len(reported) < MOST_REPORTED:
            reported.add(host)
            if not channel.forked:
                channel.send(AWS_CALL, host.lower().encode("utf-8", "replace"))
        return False

    def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
        name = host.decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else host
        if isinstance(name, str) and is_ours(name, port):
            return original("127.0.0.1", own_port, 0, type, proto, flags)
        return original(host, port, family, type, proto, flags)

    socket.getaddrinfo = getaddrinfo


# === Which files were loaded ===


class Sources:
    """Tells the host which files of the project were loaded: neither Python's own nor
    those of packages."""

    PACKAGES = ("/site-packages/", "/dist-packages/")

    def __init__(self, channel):
        self.channel = channel
        self.modules = 0
        self.told = set()
        self.library = os.path.realpath(os.path.dirname(os.__file__)) + "/"

    def tell(self, error=None):
        """What is new. A module that failed is in no list, but in the error's trace."""
        files = []
        while error is not None:
            if isinstance(error, SyntaxError):
                files.append(error.filename)
            at = error.__traceback__
            while at is not None:
                files.append(at.tb_frame.f_code.co_filename)
                at = at.tb_next
            error = error.__cause__ or error.__context__
        if len(sys.modules) != self.modules:
            self.modules = len(sys.modules)
            # Some packages put other objects there, which load more when looked at.
            own = (vars(module) for module in list(sys.modules.values()) if type(module) is type(sys))
            files.extend(values.get("__file__") for values in own)
        new = {os.path.realpath(file) for file in files if file and os.path.isabs(file)}
        new = {file for file in new - self.told if self._is_projects(file)}
        if new:
            self.told |= new
            names = "\0".join(sorted(new))
            self.channel.send(LOADED, names.encode("utf-8", "surrogateescape"))

    def _is_projects(self, file):
        if file.startswith(self.library) or file == os.path.realpath(__file__):
            return False
        return not any(part in file for part in self.PACKAGES)


# === Finding the handler ===


def load_handler(text):
    import importlib

    module_name, dot, name = text.rpartition(".")
    if not dot:
        raise Fault(
            "Runtime.MalformedHandlerName",
            "Bad handler '%s': not enough values to unpack (expected 2, got 1)" % text,
        )
    if module_name.split(".")[0] in sys.builtin_module_names:
        raise Fault(
            "Runtime.BuiltInModuleConflict",
            "Cannot use built-in module %s as a handler module" % module_name,
        )
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise Fault(
            "Runtime.ImportModuleError",
            "Unable to import module '%s': %s" % (module_name, error),
        ) from error
    except SyntaxError as error:
        trace = ['  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)]
        raise Fault(
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module '%s': %s" % (module_name, error),
            trace,
        ) from error
    try:
        return getattr(module, name)
    except AttributeError:
        raise Fault(
            "Runtime.HandlerNotFound",
            "Handler '%s' missing on module '%s'" % (name, module_name),
        ) from None


# === Life ===


def parse(frame):
    """An event frame's request id, deadline, trace id, client context and event."""
    at = REQUEST_ID_LENGTH
    deadline, trace_length = struct.unpack_from(">dH", frame, at)
    at += 10
    trace = frame[at:at + trace_length]
    at += trace_length
    (client_length,) = struct.unpack_from(">I", frame, at)
    at += 4
    client = frame[at:at + client_length]
    return frame[:REQUEST_ID_LENGTH].decode(), deadline, trace.decode(), client, frame[at + client_length:]


def serve(channel, handler, arn, sources):
    global request_id
    while True:
        kind, frame = channel.receive()
        if kind != EVENT:
            os._exit(0)
        request_id, deadline, trace, client, body = parse(frame)
        del frame
        os.environ["_X_AMZN_TRACE_ID"] = trace
        try:
            try:
                event = json.loads(body)
                client = json.loads(client) if client else None
            except ValueError as error:
                raise Fault(
                    "Runtime.UnmarshalError", "Unable to unmarshal input: " + str(error)
                ) from error
            context = LambdaContext(arn, deadline, client)
            answer, kind = marshal(handler(event, context)), RESPONSE
        except Exception as error:  # pylint: disable=broad-except
            payload = describe(error)
            sys.stdout.flush()
            log_error(channel, payload)
            answer, kind = to_json(payload).encode("utf-8"), ERROR
        sys.stdout.flush()
        sys.stderr.flush()
        if sources:
            sources.tell()
        channel.send(kind, answer)


def main():
    channel = Channel(3)
    _, frame = channel.receive()
    settings = json.loads(frame)
    sources = Sources(channel) if settings["sources"] else None
    try:
        if sys.version_info < OLDEST_PYTHON:
            raise Fault(
                "Runtime.Unsupported",
                "Python %s at %s is too old: Fanwire runs handlers on Python %d.%d or later."
                % (sys.version.split()[0], sys.executable, *OLDEST_PYTHON),
            )
        sys.stdout = text_stream(channel, STDOUT, 1)
        sys.stderr = text_stream(channel, STDERR, 2)
        set_up_logging(channel)
        if settings["redirect"]:
            install_redirect(channel, settings["redirect"]["port"], settings["redirect"]["hosts"])
        # In the place of this file's folder.
        sys.path[0] = os.environ["LAMBDA_TASK_ROOT"]
        handler = load_handler(os.environ["_HANDLER"])
    except Exception as error:  # pylint: disable=broad-except
        payload = describe(error)
        sys.stdout.flush()
        log_error(channel, payload)
        if sources:
            sources.tell(error)
        channel.send(INIT_ERROR, to_json(payload).encode("utf-8"))
        sys.exit(1)
    if sources:
        sources.tell()
    channel.send(READY)
    serve(channel, handler, settings["arn"], sources)


main()
