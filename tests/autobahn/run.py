"""Runs the Autobahn fuzzing client against an echo app on Fanwire and judges the report.

Usage: run.py WSTEST REPORT_FOLDER. Every case must be OK; those that Autobahn itself calls informational, and those
named below, may say what they say.
"""

import collections
import json
import os
import pathlib
import subprocess
import sys
import threading

# Cases that only inform: they have no right or wrong outcome (how many close frames a peer sends).
INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}


APP = pathlib.Path(__file__).parent.parent / "apps" / "echo"


def address(server):
    """The URL that a server prints when it is ready."""
    for line in server.stdout:
        event = json.loads(line)
        if event["type"] == "ready":
            return event["apis"][0]["url"]
    sys.exit(f"the server ended with {server.wait()}")


def main(wstest, folder):
    """Runs all cases; the exit status says whether all are as they must be."""
    folder = pathlib.Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    command = [os.environ["FANWIRE"], "dev", str(APP), "--port", "0", "--json"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        spec = {
            "outdir": str(folder),
            "servers": [{"agent": "fanwire", "url": address(server)}],
            "cases": os.environ.get("AUTOBAHN_CASES", "*").split(","),
            "exclude-cases": [],
            "exclude-agent-cases": {},
        }
        (folder / "spec.json").write_text(json.dumps(spec))
        # The server stops where nobody reads what it prints.
        threading.Thread(target=collections.deque, args=(server.stdout, 0), daemon=True).start()
        subprocess.run([wstest, "-m", "fuzzingclient", "-s", str(folder / "spec.json")], check=True)
    finally:
        server.terminate()
        server.wait()
    cases = json.loads((folder / "index.json").read_text())["fanwire"]
    wrong = []
    tally = collections.Counter()
    for name, case in cases.items():
        tally[case["behavior"]] += 1
        informs = case["behavior"] == "INFORMATIONAL" and name in INFORMATIONAL
        if case["behavior"] != "OK" and not informs:
            wrong.append(f"{name}: {case['behavior']}")
        if case["behaviorClose"] not in ("OK", "INFORMATIONAL"):
            wrong.append(f"{name}: close {case['behaviorClose']}")
    print(*wrong, sep="\n")
    print(f"{len(cases)} cases: {', '.join(f'{count} {what}' for what, count in sorted(tally.items()))}")
    return 1 if wrong or not cases else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
