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


