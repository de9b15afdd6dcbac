"""Holds what is in packaging/ to reality: to the program, and to the tools that will read it."""

import os
import re
import socket
import subprocess
import tomllib
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from conftest import FANWIRE, PATIENCE_SECONDS, ROOT

PACKAGING = ROOT / "packaging"
UNIT = PACKAGING / "systemd/fanwire@.service"
KUBERNETES = "1.37"


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def must(*command, **options):
    done = run(*command, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|m)?", text).groups()
    return int(number) * {"m": 60}.get(unit, 1)


def known_options():
    return set(re.findall(r"--[a-z-]+", must(FANWIRE, "serve", "--help")))


def unit_values(key):
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)


# --- systemd ---------------------------------------------------------------


@pytest.fixture
def units(tmp_path):
    """The units as they are installed, of a program that is where it is."""
    for unit in (PACKAGING / "systemd").glob("fanwire@.*"):
        text = unit.read_text().replace("/usr/bin/fanwire", str(FANWIRE))
        (tmp_path / unit.name.replace("@", "@chat")).write_text(text)
    return tmp_path


def test_systemd_understands_the_units(units):
    for unit in units.iterdir():
        done = run("systemd-analyze", "verify", "--man=no", unit)
        complaints = [line for line in done.stderr.splitlines() if "fanwire@" in line]
        assert not complaints, complaints


def test_the_service_is_exposed_no_more_than_its_work_needs(units):
    # Of 0 to 100; what systemd calls OK ends at 50, and services are at 96 where nothing is said.
    must("systemd-analyze", "security", "--offline=yes", "--threshold=25", units / "fanwire@chat.service")


def test_the_service_is_started_with_options_that_there_are():
    [command] = unit_values("ExecStart")
    assert set(re.findall(r"--[a-z-]+", command)) <= known_options()


def test_the_service_has_the_time_that_its_clients_need_to_leave():
    [timeout] = unit_values("TimeoutStopSec")
    # drain.window and twice drain.grace, as they are by default.
    assert seconds(timeout) > 10 + 2 * 30


def test_the_service_is_tried_again_for_ever_unless_its_settings_are_wrong(tmp_path):
    assert unit_values("Restart") == ["on-failure"]
    assert unit_values("StartLimitIntervalSec") == ["0"]
    assert ended_with('[[listen]]\naddres = "127.0.0.1:0"\n', tmp_path) in forgone()
    assert ended_with('[cluster]\nnats = "nats://127.0.0.1:1"\n', tmp_path) not in forgone() | {0}


def forgone():
    """The exit statuses after which the server is not started again."""
    [statuses] = unit_values("RestartPreventExitStatus")
    return {int(status) for status in statuses.split()}


def ended_with(settings, tmp_path):
    config = tmp_path / "chat.serve.toml"
    config.write_text(f'{settings}[telemetry]\naddress = "none"\n')
    listen = ["--listen", "127.0.0.1:0"]
    return run(FANWIRE, "serve", ROOT / "tests/apps/echo", "--config", config, "--data", tmp_path / "data", *listen).returncode


def test_a_socket_is_given_up_later_than_the_service_is_tried_again():
    text = (PACKAGING / "systemd/fanwire@.socket").read_text()
    [interval] = re.findall(r"^TriggerLimitIntervalSec=(\d+)$", text, re.MULTILINE)
    [burst] = re.findall(r"^TriggerLimitBurst=(\d+)$", text, re.MULTILINE)
    [pause] = unit_values("RestartSec")
    assert int(interval) / seconds(pause) < int(burst)


def test_handlers_may_ask_for_the_machines_addresses():
    [families] = unit_values("RestrictAddressFamilies")
    assert "AF_NETLINK" in families.split()


def test_the_service_may_write_where_the_docs_have_it_write():
    folders = {key: unit_values(key)[0].replace("%i", "chat") for key in ["LogsDirectory", "RuntimeDirectory"]}
    [audit] = re.findall(r'^audit_file = "(.*?)"', (ROOT / "docs/observability.md").read_text(), re.MULTILINE)
    assert Path(audit).parent == Path("/var/log") / folders["LogsDirectory"]
    sockets = re.findall(r'^unix = "(.*?)"', (ROOT / "docs/deploy.md").read_text(), re.MULTILINE)
    assert sockets and all(Path(path).parent == Path("/run") / folders["RuntimeDirectory"] for path in sockets)
    # Its group, which the proxy's user is in, may come in and nobody else.
    assert unit_values("RuntimeDirectoryMode") == ["0750"]


def test_the_hook_for_certbot_gives_the_server_what_its_settings_name(tmp_path):
    text = (ROOT / "docs/deploy.md").read_text()
    [hook] = re.findall(r"```sh\n(#!/bin/sh\n.*?)```", text, re.DOTALL)
    [lineage] = re.findall(r'"\$RENEWED_LINEAGE" = (\S+) \]', hook)
    renewed = tmp_path / lineage.lstrip("/")
    renewed.mkdir(parents=True)
    for name in ["fullchain.pem", "privkey.pem"]:
        (renewed / name).write_text(name)
    # Here, and as who runs the tests.
    ours = hook.replace("/etc/", f"{tmp_path}/etc/")
    ours = re.sub(r"-[og] (fanwire|root) ", "", ours)
    (tmp_path / "etc/fanwire").mkdir()
    must("sh", "-c", ours, env={**os.environ, "RENEWED_LINEAGE": str(renewed)})
    for key, source in [("certificate", "fullchain.pem"), ("key", "privkey.pem")]:
        [named] = re.findall(rf'^{key} = "(/etc/fanwire/.*)"$', text, re.MULTILINE)
        copied = tmp_path / named.lstrip("/")
        assert copied.read_text() == source
        assert copied.stat().st_mode & 0o777 == 0o400
        assert not Path(f"{copied}.new").exists()


def started(tmp_path, *, listener=None, **environment):
    """A server that a service manager has started, and what the manager is told."""
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(tmp_path / "notify"))
    told.settimeout(PATIENCE_SECONDS)
    config = tmp_path / "chat.serve.toml"
    config.write_text('[[listen]]\naddress = "127.0.0.1:0"\n[drain]\nwindow = "1s"\n[telemetry]\naddress = "127.0.0.1:0"\n')
    command = f"{FANWIRE} serve {ROOT}/tests/apps/echo --config {config} --data {tmp_path}/data --json"
    # The manager's listeners begin at descriptor 3, and are for the process of this number.
    script = f"export WATCHDOG_PID=$$ LISTEN_PID=$$; exec {command}"
    if listener:
        script = f"exec 3<&{listener.fileno()}; {script}"
    process = subprocess.Popen(
        ["/bin/bash", "-c", script],
        env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), **environment},
        pass_fds=[listener.fileno()] if listener else [],
        stdout=subprocess.DEVNULL,
    )
    return process, told


def until(told, wanted):
    for _ in range(1000):
        if wanted in told.recv(4096).decode().splitlines():
            return
    raise AssertionError(f"never told: {wanted}")


def test_the_manager_is_told_of_the_servers_life(tmp_path):
    process, told = started(tmp_path, WATCHDOG_USEC="200000")
    until(told, "READY=1")
    until(told, "WATCHDOG=1")
    process.terminate()
    until(told, "STOPPING=1")
    assert process.wait(PATIENCE_SECONDS) == 0


def test_a_socket_that_the_manager_has_opened_is_served(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process, told = started(tmp_path, listener=listener, LISTEN_FDS="1")
        until(told, "READY=1")
        with socket.create_connection(listener.getsockname(), PATIENCE_SECONDS) as client:
            client.sendall(b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n")
            assert client.recv(64).startswith(b"HTTP/1.1 200")
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0


# --- Debian ----------------------------------------------------------------


def test_the_package_is_built_and_its_program_runs(tmp_path):
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    # How well it is compressed is not the question, and takes minutes.
    quick = {**os.environ, "DPKG_DEB_COMPRESSOR_TYPE": "gzip", "DPKG_DEB_COMPRESSOR_LEVEL": "1"}
    package = must(PACKAGING / "debian/build", FANWIRE, version, tmp_path, env=quick).strip()
    fields = must("dpkg-deb", "--field", package)
    assert f"Version: {version}\n" in fields
    assert "libc6" in fields and "@" not in fields.replace("fanwire@users", "")
    must("dpkg-deb", "--extract", package, tmp_path / "root")
    assert version in must(tmp_path / "root/usr/bin/fanwire", "--version")
    for name in ["fanwire@.service", "fanwire@.socket"]:
        assert (tmp_path / "root/usr/lib/systemd/system" / name).is_file()
    for script in ["postinst", "prerm", "postrm"]:
        must("sh", "-n", PACKAGING / "debian" / script)


def test_the_example_settings_are_understood(tmp_path):
    example = (PACKAGING / "debian/example.serve.toml").read_text()
    assert_understood(example, tmp_path)


# --- Docker ----------------------------------------------------------------


def test_the_dockerfile_is_clean():
    must("hadolint", PACKAGING / "docker/Dockerfile")


def test_the_images_start_with_options_that_there_are():
    text = (PACKAGING / "docker/Dockerfile").read_text()
    entrypoints = re.findall(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)
    assert len(entrypoints) == 2
    for entrypoint in entrypoints:
        assert set(re.findall(r"--[a-z-]+", entrypoint)) <= known_options()
    assert set(re.findall(r"^EXPOSE (\d+)$", text, re.MULTILINE)) == {"3001"}
    assert "0.0.0.0:3001" in must(FANWIRE, "serve", "--help")
    rust = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"]
    assert f"FROM rust:{rust}-" in text


def test_the_image_with_node_trusts_the_systems_authorities():
    # The other image's base, Debian's distroless one, has them.
    text = (PACKAGING / "docker/Dockerfile").read_text()
    stages = re.split(r"^(?=FROM )", text, flags=re.MULTILINE)
    [node] = [stage for stage in stages if re.match(r"FROM .* AS fanwire-node$", stage, re.MULTILINE)]
    root, user, _ = node.partition("\nUSER ")
    assert user
    assert re.search(r"apt-get install -y --no-install-recommends ca-certificates=", root)


# --- Kubernetes ------------------------------------------------------------


def manifests(name):
    return list(yaml.safe_load_all((PACKAGING / "kubernetes" / name).read_text()))


def one(documents, kind):
    [found] = [document for document in documents if document["kind"] == kind]
    return found


@pytest.mark.parametrize("name", ["fanwire.yaml", "nats.yaml"])
def test_kubernetes_understands_the_manifests(name):
    for document in manifests(name):
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_the_nodes_ports_and_probes_are_those_of_their_settings():
    documents = manifests("fanwire.yaml")
    settings = tomllib.loads(one(documents, "ConfigMap")["data"]["fanwire.serve.toml"])
    pod = one(documents, "StatefulSet")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert settings["listen"][0]["address"].endswith(f":{ports['https']}")
    assert settings["telemetry"]["address"].endswith(f":{ports['telemetry']}")
    for probe, path in [("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]:
        assert container[probe]["httpGet"] == {"path": path, "port": "telemetry"}
    assert set(container["args"][::2]) <= known_options()
    drain = settings["drain"]
    leaving = seconds(drain["window"]) + 2 * seconds(drain["grace"]) + container["lifecycle"]["preStop"]["sleep"]["seconds"]
    # Functions that do not end, other nodes and traces have 20 seconds more.
    assert pod["terminationGracePeriodSeconds"] >= leaving + 20


def test_the_nodes_settings_are_understood(tmp_path):
    assert_understood(one(manifests("fanwire.yaml"), "ConfigMap")["data"]["fanwire.serve.toml"], tmp_path)


def test_what_is_kept_is_on_every_nats_server():
    settings = tomllib.loads(one(manifests("fanwire.yaml"), "ConfigMap")["data"]["fanwire.serve.toml"])
    servers = one(manifests("nats.yaml"), "StatefulSet")["spec"]["replicas"]
    assert settings["cluster"]["replicas"] == len(settings["cluster"]["nats"]) == servers


def test_nats_keeps_what_it_acknowledges():
    configuration = one(manifests("nats.yaml"), "ConfigMap")["data"]["nats.conf"]
    assert re.search(r"^\s*sync_interval: always$", configuration, re.MULTILINE)


# --- Prometheus ------------------------------------------------------------


def test_the_alert_for_a_server_that_is_down_knows_the_job_of_the_docs():
    alerts = yaml.safe_load((PACKAGING / "prometheus/alerts.yml").read_text())
    [rules] = [group["rules"] for group in alerts["groups"]]
    [down] = [rule["expr"] for rule in rules if rule["alert"] == "FanwireDown"]
    [job] = re.findall(r"job_name: (\S+)", (ROOT / "docs/observability.md").read_text())
    assert f'up{{job="{job}"}} == 0' in down


def assert_understood(settings, tmp_path):
    """Settings of other machines: they are read here, and then a file that is not there stops it."""
    config = tmp_path / "fanwire.serve.toml"
    missing = f'[[tls.certificates]]\ncertificate = "{tmp_path}/none.crt"\nkey = "{tmp_path}/none.key"\n'
    config.write_text(settings + ("" if "[[tls.certificates]]" in settings else missing))
    done = run(FANWIRE, "serve", ROOT / "tests/apps/echo", "--config", config, "--data", tmp_path / "data")
    assert done.returncode != 0
    assert re.search(r"cannot use .*\.crt: it cannot be read", done.stderr), done.stderr
