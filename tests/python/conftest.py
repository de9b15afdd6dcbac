"""Runs `fanwire dev` for the tests, and opens WebSockets to it."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import boto3
import pytest
import websocket

ROOT = Path(__file__).resolve().parents[2]
FANWIRE = os.environ.get("FANWIRE", ROOT / "target/debug/fanwire")
PATIENCE_SECONDS = 20


class Server:
    """A running `fanwire dev`."""

    def __init__(self, app):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self.data = tempfile.TemporaryDirectory(prefix="fanwire-data-")
        # Handlers run on the Python that runs the tests, which has boto3.
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
        environment["FANWIRE_HOME"] = str(ROOT / ".cache/fanwire-home")
        self.process = subprocess.Popen(
            [FANWIRE, "dev", app, "--port", "0", "--json", "--data", self.data.name],
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        ready = queue.Queue()
        threading.Thread(target=self._read, args=(ready,), daemon=True).start()
        self.ready = ready.get(timeout=PATIENCE_SECONDS)
        assert self.ready["type"] == "ready", self.ready
        self.api = self.ready["apis"][0] if self.ready["apis"] else None
        self.host = f"127.0.0.1:{self.ready['port']}"

    def _read(self, ready):
        # Everything is read, so that the server never waits for its reader.
        for number, line in enumerate(self.process.stdout):
            if number == 0:
                ready.put(json.loads(line))

    def client(self, service, endpoint):
        """A boto3 client with made-up credentials."""
        return boto3.client(
            service,
            endpoint_url=endpoint,
            region_name="eu-west-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )

    def management(self, endpoint=None):
        """The @connections API."""
        return self.client("apigatewaymanagementapi", endpoint or self.api["management"])

    def functions(self):
        """The Lambda Invoke API."""
        return self.client("lambda", f"http://{self.host}")

    def connect(self):
        """A WebSocket and its connection id."""
        socket = websocket.create_connection(self.api["url"], timeout=PATIENCE_SECONDS)
        socket.send("who am I")
        return socket, json.loads(socket.recv())["connectionId"]

    def stop(self):
        """Ends the server as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(timeout=PATIENCE_SECONDS) == 0
        self.data.cleanup()


def serve(app):
    """A fixture's body: the app runs for as long as the tests of a module do."""
    server = Server(ROOT / "tests/apps" / app)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def contract():
    """The app of the gateway's contract."""
    yield from serve("contract")
