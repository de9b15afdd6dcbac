"""`fanwire send` on a terminal."""

import os
import pty
import select
import subprocess
import termios
import time

from conftest import FANWIRE, PATIENCE_SECONDS


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, arguments, environment):
        ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [FANWIRE, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", "NO_COLOR": "1", **environment},
            start_new_session=True,
        )
        self.terminal = theirs
        self.file = ours
        self.text = ""

    def expect(self, wanted):
        """Reads until `wanted` has come, and forgets what was before it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while wanted not in self.text:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.file], [], [], max(left, 0))
            assert ready, f"waited for {wanted!r}, have {self.text!r}"
            self.text += os.read(self.file, 65536).decode()
        before, self.text = self.text.split(wanted, 1)
        return before

    def type(self, text):
        os.write(self.file, text.encode())

    def end(self):
        status = self.process.wait(timeout=PATIENCE_SECONDS)
        os.close(self.terminal)
        os.close(self.file)
        return status


def open_terminal(contract, tmp_path):
    terminal = Terminal(["send", contract.api["url"]], {"FANWIRE_HOME": str(tmp_path / "home")})
    terminal.expect("connected to ws://")
    terminal.expect("> ")
    return terminal


def test_what_is_typed_is_sent_and_what_comes_is_laid_out(contract, tmp_path):
    terminal = open_terminal(contract, tmp_path)
    terminal.type('{"action":"echo"}\r')
    terminal.expect("< {")
    terminal.expect('"route": "echo"')
    terminal.type("\x04")
    terminal.expect("closed: 1000 (normal)")
    assert terminal.end() == 0


def test_the_history_outlives_the_program(contract, tmp_path):
    first = open_terminal(contract, tmp_path)
    first.type("who am I\r")
    first.expect("< {")
    first.type("\x04")
    first.expect("closed")
    assert first.end() == 0
    second = open_terminal(contract, tmp_path)
    second.type("\x1b[A")
    second.expect("who am I")
    second.type("\r")
    second.expect('"body": "who am I"')
    second.type("\x04")
    second.expect("closed")
    assert second.end() == 0
    assert (tmp_path / "home").stat().st_mode & 0o077 == 0


def test_a_server_that_closes_ends_it_and_leaves_the_terminal_as_it_was(contract, tmp_path):
    terminal = open_terminal(contract, tmp_path)
    terminal.type("who am I\r")
    terminal.expect('"connectionId": "')
    connection = terminal.expect('"')
    close = [FANWIRE, "connections", "close", connection, "--code", "4004", "--data", contract.data.name]
    subprocess.run(close, check=True)
    terminal.expect("closed: 4004")
    assert terminal.process.wait(timeout=PATIENCE_SECONDS) == 0
    local_modes = termios.tcgetattr(terminal.terminal)[3]
    assert local_modes & termios.ECHO and local_modes & termios.ICANON
    terminal.end()
