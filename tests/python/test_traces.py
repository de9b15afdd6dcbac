"""The traces of `fanwire serve`, as OpenTelemetry's own packages for Python read them."""

import base64
import http.server
import json
import os
import re
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import boto3
import pytest
import websocket
from botocore import UNSIGNED
from botocore.config import Config
from opentelemetry import trace
from opentelemetry.propagators.aws import AwsXRayPropagator
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from paho.mqtt import client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from conftest import FANWIRE, PATIENCE_SECONDS, ROOT

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = (f"00-{TRACE}-{PARENT}-{flags}" for flags in ("01", "00"))


class Collector(http.server.ThreadingHTTPServer):
    """Takes spans as a collector of OpenTelemetry's does."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Taking)
        self.spans, self.services, self.changed = [], set(), threading.Condition()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def take(self, body):
        request = ExportTraceServiceRequest.FromString(body)
        with self.changed:
            for resource in request.resource_spans:
                self.services |= {a.value.string_value for a in resource.resource.attributes if a.key == "service.name"}
                self.spans += [span for scope in resource.scope_spans for span in scope.spans]
            self.changed.notify_all()

    def find(self, wanted):
        """The first span that is wanted, once it has come."""
        with self.changed:
            assert self.changed.wait_for(lambda: any(map(wanted, self.spans)), PATIENCE_SECONDS), [s.name for s in self.spans]
            return next(filter(wanted, self.spans))


class Taking(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        assert self.path == "/v1/traces" and self.headers["Content-Type"] == "application/x-protobuf"
        self.server.take(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


class Traced:
    """A running `fanwire serve` that sends traces."""

    def __init__(self, folder, collector, more="", **environment):
        settings = '[access]\nallow_anonymous = ["connections", "mqtt", "invoke"]\n[telemetry]\naddress = "127.0.0.1:0"\n'
        config = Path(folder, "fanwire.serve.toml")
        traces = f'traces = "{collector}"\n' if collector else ""
        config.write_text(f"{settings}{traces}{more}")
        app = ROOT / "tests/apps/traces"
        command = [FANWIRE, "serve", app, "--config", config, "--listen", "127.0.0.1:0", "--data", Path(folder, "data"), "--json"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environment)
        self.ready = next(r for r in map(json.loads, self.process.stdout) if r["type"] == "ready")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        self.url = self.ready["apis"][0]["url"]

    def invoke(self, **headers):
        """What a function is told of the trace that it is invoked in, as it logs that."""
        host = self.url.removeprefix("ws://").split("/")[0]
        functions = boto3.client("lambda", endpoint_url=f"http://{host}", region_name="eu-west-1", config=Config(signature_version=UNSIGNED))

        def add(request, **_):
            for name, value in headers.items():
                request.headers[name.replace("_", "-")] = value

        functions.meta.events.register("before-send", add)
        answer = functions.invoke(FunctionName="heard", Payload=b"{}", LogType="Tail")
        return re.search(r"heard in (\S+)", base64.b64decode(answer["LogResult"]).decode())[1]

    def connect(self, **headers):
        return websocket.create_connection(self.url, timeout=PATIENCE_SECONDS, header=headers)

    def spans(self):
        """How many spans came to which end, as the metrics say."""
        with urllib.request.urlopen(f"http://{self.ready['telemetry']}/metrics") as answer:
            lines = [line.split() for line in answer.read().decode().splitlines() if line.startswith("fanwire_trace_spans")]
        return {name.split('"')[1]: int(float(count)) for name, count, *_ in lines}

    def stop(self):
        self.process.terminate()
        assert self.process.wait(timeout=PATIENCE_SECONDS) == 0


class Backend(http.server.BaseHTTPRequestHandler):
    """Answers with the trace that it is told."""

    def do_POST(self):
        body = json.dumps({"traceparent": self.headers["traceparent"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def collector():
    with Collector() as collector:
        yield collector
        collector.shutdown()


@pytest.fixture(scope="module")
def server(collector):
    with tempfile.TemporaryDirectory() as folder, http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend) as backend:
        threading.Thread(target=backend.serve_forever, daemon=True).start()
        server = Traced(folder, f"http://127.0.0.1:{collector.server_port}", BACKEND=f"http://127.0.0.1:{backend.server_port}/")
        yield server
        server.stop()
        backend.shutdown()


def ask(socket, text):
    socket.send(text)
    return json.loads(socket.recv())


def ids(span):
    return span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()


def of_function(told):
    """The span that a function was told of, as its own SDK would read it."""
    context = AwsXRayPropagator().extract({"X-Amzn-Trace-Id": told})
    span = trace.get_current_span(context).get_span_context()
    assert span.is_valid and span.trace_flags.sampled, told
    return trace.format_trace_id(span.trace_id), trace.format_span_id(span.span_id)


def attributes(span):
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}


def test_a_clients_trace_goes_on_from_its_handshake_to_the_function(server, collector):
    carrier = {}
    context = trace.set_span_in_context(trace.NonRecordingSpan(trace.SpanContext(
        int(TRACE, 16), int(PARENT, 16), is_remote=True, trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
    )))
    TraceContextTextMapPropagator().inject(carrier, context)
    server.connect(**carrier).close()
    handshake = collector.find(lambda s: s.name == "$connect dev-traces-websockets" and s.trace_id.hex() == TRACE)
    assert handshake.parent_span_id.hex() == PARENT and handshake.kind == Span.SPAN_KIND_SERVER
    assert attributes(handshake)["http.response.status_code"] == 200
    invocation = collector.find(lambda s: s.parent_span_id == handshake.span_id)
    assert invocation.name == "tell" and invocation.trace_id.hex() == TRACE and invocation.kind == Span.SPAN_KIND_CLIENT
    assert handshake.start_time_unix_nano <= invocation.start_time_unix_nano
    assert invocation.end_time_unix_nano <= handshake.end_time_unix_nano
    assert collector.services == {"traces"}


def test_a_message_begins_a_trace_of_its_own_that_its_function_is_told(server, collector):
    socket = server.connect(traceparent=SAMPLED)
    trace_id, span_id = of_function(ask(socket, "hello")["trace"])
    socket.close()
    assert trace_id != TRACE
    invocation = collector.find(lambda s: s.span_id.hex() == span_id)
    message = collector.find(lambda s: s.span_id == invocation.parent_span_id)
    assert ids(message) == (trace_id, invocation.parent_span_id.hex(), "")
    assert message.name == "$default dev-traces-websockets" and "fanwire.connection_id" in attributes(message)
    assert abs(int(trace_id[:8], 16) - time.time()) < 600, "as X-Ray wants it, with the time in front"


def test_an_http_backend_is_told_the_messages_span(server, collector):
    socket = server.connect()
    context = TraceContextTextMapPropagator().extract(ask(socket, '{"action":"away"}'))
    socket.close()
    told = trace.get_current_span(context).get_span_context()
    assert told.is_valid and told.trace_flags.sampled
    message = collector.find(lambda s: s.name == "away dev-traces-websockets")
    assert ids(message) == (trace.format_trace_id(told.trace_id), trace.format_span_id(told.span_id), "")


def test_a_function_that_fails_is_told_of_with_why(server, collector):
    socket = server.connect()
    ask(socket, '{"action":"fail"}')
    socket.close()
    invocation = collector.find(lambda s: s.name == "fail")
    assert invocation.status.code == Status.STATUS_CODE_ERROR and "no luck" in invocation.status.message
    message = collector.find(lambda s: s.span_id == invocation.parent_span_id)
    assert message.status.code == Status.STATUS_CODE_ERROR


def test_what_a_client_does_not_want_kept_is_not(server, collector):
    server.connect(traceparent=UNSAMPLED.replace(TRACE, "ab" * 16)).close()
    # What is sent later has come, so the other would have.
    marker = SAMPLED.replace(TRACE, "cd" * 16)
    server.connect(traceparent=marker).close()
    collector.find(lambda s: s.trace_id.hex() == "cd" * 16)
    assert not any(s.trace_id.hex() == "ab" * 16 for s in collector.spans)


def test_a_message_of_mqtt_is_part_of_its_publishers_trace(server, collector):
    host, port = server.url.removeprefix("ws://").split("/")[0].split(":")
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = ("traceparent", SAMPLED.replace(TRACE, "ef" * 16))
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.connect(host, int(port))
    client.loop_start()
    client.publish("heard/x", "{}", qos=1, properties=properties).wait_for_publish(PATIENCE_SECONDS)
    client.disconnect()
    client.loop_stop()
    rule = collector.find(lambda s: s.name.startswith("process ") and s.trace_id.hex() == "ef" * 16)
    assert rule.kind == Span.SPAN_KIND_CONSUMER and attributes(rule)["messaging.destination.name"] == "heard/x"
    assert collector.find(lambda s: s.parent_span_id == rule.span_id).name == "heard"


def test_a_call_of_an_sdk_is_a_span_and_what_it_invokes_a_part_of_it(server, collector):
    header = f"Root=1-{'12' * 4}-{'34' * 12};Parent={PARENT};Sampled=1"
    told = of_function(server.invoke(X_Amzn_Trace_Id=header))
    call = collector.find(lambda s: s.name == "POST /functions/{name}/invocations")
    assert ids(call)[0] == "12" * 4 + "34" * 12 and ids(call)[2] == PARENT
    invocation = collector.find(lambda s: s.parent_span_id == call.span_id)
    assert invocation.name == "heard" and told == ids(invocation)[:2]


def test_a_function_is_told_that_its_trace_is_not_kept(server):
    told = server.invoke(traceparent=UNSAMPLED.replace(TRACE, "ba" * 16))
    assert re.fullmatch(rf"Root=1-{'ba' * 4}-{'ba' * 12};Parent=[0-9a-f]{{16}};Sampled=0", told)


def test_where_no_traces_are_made_a_function_is_told_its_callers():
    with tempfile.TemporaryDirectory() as folder:
        server = Traced(folder, None)
        header = f"Root=1-{'12' * 4}-{'34' * 12};Parent={PARENT};Sampled=1"
        assert server.invoke(X_Amzn_Trace_Id=header) == header
        server.stop()


def test_a_client_that_is_not_believed_cannot_have_functions_spans_kept(collector):
    with tempfile.TemporaryDirectory() as folder:
        more = 'traces_sample = 0\ntraces_of_clients = "ignore"\n'
        server = Traced(folder, f"http://127.0.0.1:{collector.server_port}", more)
        header = f"Root=1-{'77' * 4}-{'77' * 12};Parent={PARENT};Sampled=1"
        server.connect(**{"X-Amzn-Trace-Id": header}).close()
        server.invoke(X_Amzn_Trace_Id=header)
        # What waits is sent before the server is gone.
        server.stop()
    assert not any(s.trace_id.hex() == "77" * 16 for s in collector.spans)


def test_a_sample_and_clients_that_are_not_believed(collector):
    with tempfile.TemporaryDirectory() as folder:
        more = 'traces_sample = 0\ntraces_of_clients = "ignore"\n'
        server = Traced(folder, f"http://127.0.0.1:{collector.server_port}", more)
        socket = server.connect(traceparent=SAMPLED.replace(TRACE, "99" * 16))
        assert ask(socket, "hello")["trace"].endswith(";Sampled=0")
        socket.close()
        assert set(server.spans().values()) == {0}
        server.stop()


def test_a_collector_that_is_away_holds_up_nobody_and_what_it_missed_is_counted():
    with tempfile.TemporaryDirectory() as folder:
        # Nobody listens at the port of discard.
        server = Traced(folder, "http://127.0.0.1:9")
        socket = server.connect()
        for _ in range(3):
            assert of_function(ask(socket, "hello")["trace"])
        deadline = time.monotonic() + PATIENCE_SECONDS
        while server.spans()["refused"] < 8:
            assert time.monotonic() < deadline, server.spans()
        socket.close()
        assert server.spans()["sent"] == 0
        server.stop()
