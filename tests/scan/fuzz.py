"""Fuzzes a server with boofuzz: what clients of WebSockets and of MQTT send, field by field.

    fuzz.py websocket|mqtt HOST PORT CASES

After every hundredth case, and after the last one, a client that does all right has to be
served. Prints how many cases were sent.
"""

import hashlib
import base64
import os
import socket
import sys
import tempfile

from boofuzz import (
    Block, Byte, Bytes, Delim, FuzzLoggerText, Request, Session, Size, Static, String, Target, TCPSocketConnection,
)

# How often the server is asked whether it still serves.
EVERY = 100

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = base64.b64encode(hashlib.sha1(KEY + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
UPGRADE = (
    b"GET /dev HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY + b"\r\n\r\n"
)


def websocket_requests():
    """A handshake whose every part is fuzzed; and frames after one that is not."""
    def line(name, value):
        return Block(f"{name}-line", children=(
            String(f"{name}-name", name), Delim(f"{name}-colon", ": "), String(f"{name}-value", value), Static(f"{name}-end", "\r\n"),
        ))
    handshake = Request("handshake", children=(
        String("method", "GET", fuzzable=True), Delim("space-1", " "), String("path", "/dev"), Delim("space-2", " "),
        String("version", "HTTP/1.1"), Static("first-end", "\r\n"),
        line("Host", "localhost"), line("Connection", "Upgrade"), line("Upgrade", "websocket"),
        line("Sec-WebSocket-Version", "13"), line("Sec-WebSocket-Key", KEY.decode()), Static("end", "\r\n"),
    ))
    upgrade = Request("upgrade", children=(Static("all", UPGRADE),))
    frame = Request("frame", children=(
        Byte("flags-and-opcode", 0x81, full_range=True),
        Byte("mask-and-length", 0x85, full_range=True),
        Bytes("mask", b"\x37\xfa\x21\x3d", size=4),
        Bytes("payload", b"\x7f\x9f\x4d\x51\x58"),
    ))
    return handshake, upgrade, frame


def mqtt_requests():
    """CONNECT, and what may follow one that is well-formed."""
    def packet(name, first, *fields):
        return Request(name, children=(
            Byte(f"{name}-type", first, full_range=True),
            Size(f"{name}-length", block_name=f"{name}-body", length=1, fuzzable=True),
            Block(f"{name}-body", children=fields),
        ))

    def text(name, value):
        return (Size(f"{name}-size", block_name=f"{name}-text", length=2, endian=">", fuzzable=True),
                Block(f"{name}-text", children=(String(name, value),)))
    connect = packet(
        "connect", 0x10, *text("protocol", "MQTT"), Byte("level", 5, full_range=True), Byte("flags", 2, full_range=True),
        Bytes("keep-alive", b"\x00\x3c", size=2), Byte("properties", 0, full_range=True), *text("client", "fuzzed"),
    )
    hello = Request("hello", children=(Static("all", b"\x10\x13\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x06fuzzed"),))
    subscribe = packet(
        "subscribe", 0x82, Bytes("subscribe-id", b"\x00\x01", size=2), Byte("subscribe-properties", 0, full_range=True),
        *text("filter", "a/+/#"), Byte("options", 1, full_range=True),
    )
    publish = packet(
        "publish", 0x32, *text("topic", "a/b"), Bytes("publish-id", b"\x00\x02", size=2),
        Byte("publish-properties", 0, full_range=True), Bytes("publish-payload", b"hello"),
    )
    return connect, hello, subscribe, publish


def ask(host, port, words, expected):
    """Whether a client that does all right is answered."""
    with socket.create_connection((host, port), timeout=10) as client:
        client.sendall(words)
        answer = b""
        while expected not in answer:
            more = client.recv(4096)
            if not more:
                return False
            answer += more
        return True


def main():
    kind, host, port, cases = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    counted = [0]

    def serves():
        if kind == "websocket":
            return ask(host, port, UPGRADE, ACCEPT)
        return ask(host, port, b"\x10\x11\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x04well", b"\x20")

    def check(target, fuzz_data_logger, session, *args, **kwargs):
        counted[0] += 1
        if counted[0] % EVERY == 0 and not serves():
            sys.exit(f"after case {counted[0]} a client that does all right is not served")

    connection = TCPSocketConnection(host, port, send_timeout=5, recv_timeout=0.01)
    session = Session(
        target=Target(connection=connection), post_test_case_callbacks=[check], sleep_time=0, index_end=cases,
        fuzz_loggers=[FuzzLoggerText(file_handle=open(os.devnull, "w"))], web_port=None, keep_web_open=False,
        ignore_connection_reset=True, ignore_connection_aborted=True, ignore_connection_ssl_errors=True,
        receive_data_after_each_request=False, db_filename=os.path.join(tempfile.mkdtemp(), "cases.db"),
    )
    if kind == "websocket":
        handshake, upgrade, frame = websocket_requests()
        session.connect(handshake)
        session.connect(upgrade)
        session.connect(upgrade, frame)
    else:
        connect, hello, subscribe, publish = mqtt_requests()
        session.connect(connect)
        session.connect(hello)
        session.connect(hello, subscribe)
        session.connect(hello, publish)
    session.fuzz()
    if not serves():
        sys.exit("in the end a client that does all right is not served")
    print(f"{kind}: {counted[0]} cases, and a client that does all right is served")


main()
