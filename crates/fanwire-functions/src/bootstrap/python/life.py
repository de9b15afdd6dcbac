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
        if sources:
            do_not_cache_the_project()
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
