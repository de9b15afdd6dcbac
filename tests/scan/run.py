"""Looks at `fanwire serve` from outside, with tools that know nothing of it:

- sslscan and testssl.sh: what TLS is spoken, and known weaknesses;
- slowhttptest: slow heads, slow bodies, slow reads, with more connections than most servers stand;
- boofuzz (`fuzz.py`): what clients of WebSockets and of MQTT send, field by field.

    run.py FANWIRE [CASES]

A finding that is not expected, a server that does not serve a well-behaved client meanwhile,
or a panic in its log fails the run.
"""

import json
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FANWIRE = sys.argv[1]
CASES = sys.argv[2] if len(sys.argv) > 2 else "3000"

faults = []


def fault(text):
    print(f"FAULT: {text}")
    faults.append(text)


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)


def certificate(folder):
    made = run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost",
    )
    made.check_returncode()


def serve(folder):
    (folder / "fanwire.serve.toml").write_text("\n".join([
        "[[listen]]", 'address = "127.0.0.1:0"', "tls = false",
        "[[listen]]", 'address = "127.0.0.1:0"', "tls = true",
        "[[tls.certificates]]", 'certificate = "cert.pem"', 'key = "key.pem"',
        "[access]", 'allow_anonymous = ["mqtt"]',
        "[telemetry]", 'address = "127.0.0.1:0"',
        "[drain]", 'window = "0s"',
    ]))
    log = open(folder / "log", "w")
    server = subprocess.Popen(
        [FANWIRE, "serve", str(ROOT / "tests/apps/cluster"), "--config", str(folder / "fanwire.serve.toml"),
         "--data", str(folder / "data"), "--json"],
        stdout=subprocess.PIPE, stderr=log, text=True,
    )
    for line in server.stdout:
        said = json.loads(line)
        if said.get("type") == "ready":
            threading.Thread(target=lambda: [None for _ in server.stdout], daemon=True).start()
            plain, tls = (int(place.rsplit(":", 1)[1]) for place in said["listeners"][:2])
            return server, plain, tls
    raise SystemExit(f"the server did not start: {(folder / 'log').read_text()}")


def serves(port):
    """How long a well-behaved client waits for an answer, in seconds; None: there is none."""
    began = time.monotonic()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return time.monotonic() - began if client.recv(64).startswith(b"HTTP/1.1 200") else None
    except OSError:
        return None


def scan_tls(tls):
    scanned = run("sslscan", "--no-colour", f"localhost:{tls}").stdout
    enabled = re.findall(r"^(SSLv\d|TLSv[\d.]+)\s+enabled", scanned, re.M)
    weak = re.findall(r"^(?:Accepted|Preferred)\s+\S+\s+\d+ bits\s+(\S*(?:RC4|3DES|CBC|NULL|EXPORT|anon)\S*)", scanned, re.M)
    print(f"sslscan: {', '.join(enabled)}; weak ciphers: {', '.join(weak) or 'none'}")
    if enabled != ["TLSv1.2", "TLSv1.3"]:
        fault(f"sslscan finds {enabled}, expected TLS 1.2 and 1.3")
    if weak:
        fault(f"sslscan finds weak ciphers: {weak}")
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "found.json"
        run("testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "-p", "-U", "-S", "-P",
            "--jsonfile", file, f"localhost:{tls}", timeout=600)
        found = json.loads(file.read_text())
    bad = [each for each in found if each["severity"] in ("MEDIUM", "HIGH", "CRITICAL")]
    # The test's certificate is vouched for by nobody, and lives two days. All ciphers are strong,
    # so it is the client who knows which of them is fast on its machine.
    own = (
        "cert_trust", "cert_chain_of_trust", "cert_expirationStatus", "cert_notAfter", "cert_caIssuers", "cert_revocation",
        "cert_validityPeriod", "OCSP_stapling", "DNS_CAArecord", "certificate_transparency", "cipher_order",
    )
    bad = [each for each in bad if not each["id"].startswith(own)]
    print(f"testssl: {len(found)} findings, of which {len(bad)} are medium or worse")
    for each in bad:
        fault(f"testssl: {each['id']}: {each['finding']}")


def slow_http(plain):
    for name, mode in [("slow heads", ["-H"]), ("slow bodies", ["-B", "-t", "POST"]), ("slow reads", ["-X", "-w", "1", "-y", "10", "-n", "5", "-z", "8"])]:
        attack = subprocess.Popen(
            ["slowhttptest", *mode, "-c", "2000", "-r", "400", "-i", "5", "-l", "25", "-u", f"http://127.0.0.1:{plain}/dev/@connections/x"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        waits = []
        while attack.poll() is None:
            waits.append(serves(plain))
            time.sleep(0.5)
        failed = waits.count(None)
        known = [wait for wait in waits if wait is not None]
        print(f"slowhttptest, {name}: {len(waits)} well-behaved requests beside 2,000 slow ones, {failed} without an answer, slowest {max(known, default=0):.2f} s")
        if failed:
            fault(f"{failed} well-behaved requests were not answered beside {name}")


def fuzz(plain):
    for kind in ("websocket", "mqtt"):
        fuzzed = run(sys.executable, HERE / "fuzz.py", kind, "127.0.0.1", plain, CASES)
        print(f"boofuzz, {fuzzed.stdout.strip().splitlines()[-1] if fuzzed.stdout.strip() else kind}")
        if fuzzed.returncode:
            fault(f"boofuzz, {kind}: {fuzzed.stderr.strip().splitlines()[-1:]}")


def main():
    folder = pathlib.Path(tempfile.mkdtemp())
    certificate(folder)
    server, plain, tls = serve(folder)
    try:
        scan_tls(tls)
        slow_http(plain)
        fuzz(plain)
    finally:
        server.terminate()
    if server.wait(timeout=60) != 0:
        fault(f"the server ended with {server.returncode}")
    if "panicked" in (folder / "log").read_text():
        fault((folder / "log").read_text())
    sys.exit(1 if faults else 0)


main()
