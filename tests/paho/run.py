"""Runs Eclipse's MQTT interoperability suites, client_test.py (3.1.1) and client_test5.py (5), against Fanwire.

Usage: run.py FOLDER [PORT]. FOLDER is a copy of https://github.com/eclipse/paho.mqtt.testing; with a PORT, whatever
listens there is tested instead of Fanwire. Each case is a line of the output; the exit status says whether all pass.
"""

import contextlib
import importlib
import io
import json
import logging
import os
import pathlib
import signal
import subprocess
import sys
import time
import traceback
import unittest
import warnings

APP = pathlib.Path(__file__).parent / "app"

# The longest case takes 65,536 publishes where a server states no bound of its own.
MOST_SECONDS = 120


class Late(BaseException):
    """A case that waits for something that does not come."""


def late(*_):
    raise Late(f"not done after {MOST_SECONDS} s")


def load(name, port):
    """A suite's module, with what its own command line would set."""
    suite = importlib.import_module(name)
    prefix = f"{name}/" if name.endswith("5") else ""
    suite.host, suite.port, suite.topic_prefix = "127.0.0.1", port, prefix
    suite.topics = [prefix + each for each in ("TopicA", "TopicA/B", "Topic/C", "TopicA/C", "/TopicA")]
    suite.wildtopics = [prefix + each for each in ("TopicA/+", "+/C", "#", "/#", "/+", "+/+", "TopicA/#")]
    suite.nosubscribe_topics = ("test/nosubscribe",)
    return suite


def run(name, port):
    """Runs the cases of a suite, in its order, and returns how many there are and how many pass."""
    suite = load(name, port)
    noise = io.StringIO()
    with contextlib.redirect_stdout(noise):
        suite.Test.setUpClass()
    cases = unittest.defaultTestLoader.getTestCaseNames(suite.Test)
    passed = 0
    for case in cases:
        noise = io.StringIO()
        began = time.monotonic()
        signal.alarm(MOST_SECONDS)
        try:
            with contextlib.redirect_stdout(noise), contextlib.redirect_stderr(noise):
                suite.Test(case).debug()
            verdict = "ok"
            passed += 1
        except (Exception, Late) as error:  # A case may fail in any way.
            verdict = "FAIL"
            noise.write("".join(traceback.format_exception_only(error)))
        finally:
            signal.alarm(0)
        print(f"{verdict:4}  {time.monotonic() - began:5.1f}s  {name}  {case}", flush=True)
        if verdict == "FAIL":
            print(*(f"            {line}" for line in noise.getvalue().splitlines()[-6:]), sep="\n", flush=True)
    print(f"{name}: {passed} of {len(cases)}", flush=True)
    return len(cases), passed


@contextlib.contextmanager
def fanwire():
    """The port of `fanwire dev` on the app beside this file."""
    command = [os.environ["FANWIRE"], "dev", str(APP), "--port", "0", "--json", "--fresh"]
    # On one core, so in one thread: test_request_response publishes before it knows that it is subscribed, and counts on
    # the packets of two connections being taken in the order that they were sent.
    core = {min(os.sched_getaffinity(0))}
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, core)
    )
    try:
        for line in server.stdout:
            event = json.loads(line)
            if event["type"] == "ready":
                break
        else:
            sys.exit(f"the server ended with {server.wait()}")
        # The server stops where nobody reads what it prints.
        drain = subprocess.Popen(["cat"], stdin=server.stdout, stdout=subprocess.DEVNULL)
        yield event["port"]
    finally:
        server.terminate()
        server.wait()
        drain.wait()


def main(folder, port=None):
    """Runs both suites."""
    sys.path.insert(0, str(pathlib.Path(folder).resolve() / "interoperability"))
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, late)
    with contextlib.nullcontext(port) if port else fanwire() as at:
        results = [run(name, int(at)) for name in ("client_test", "client_test5")]
    return 0 if all(cases and cases == passed for cases, passed in results) else 1


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    sys.stdout.flush()
    # Threads of clients that a failed case left behind would hold the process.
    os._exit(code)
