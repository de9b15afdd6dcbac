"""What `fanwire serve` tells Prometheus, as Prometheus's own library for Python reads it."""

import json
import re
import subprocess
import tempfile
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from conftest import FANWIRE, ROOT

SETTINGS = '[access]\nallow_anonymous = ["connections", "mqtt"]\n[telemetry]\naddress = "127.0.0.1:0"\n'
ROW = re.compile(r"^\| `(fanwire_\w+)` \| (\w+) \| ([^|]*) \|", re.MULTILINE)


@pytest.fixture(scope="module")
def telemetry():
    """Where a server that has seen nobody tells its metrics."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "fanwire.serve.toml")
        config.write_text(SETTINGS)
        app = ROOT / "tests/apps/soak"
        command = [FANWIRE, "serve", app, "--config", config, "--listen", "127.0.0.1:0", "--data", Path(folder, "data"), "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                records = (json.loads(line) for line in process.stdout)
                yield next(record["telemetry"] for record in records if record["type"] == "ready")
            finally:
                process.terminate()
                process.communicate()


def documented():
    """Names, kinds and labels as docs/metrics.md has them."""
    page = (ROOT / "docs/metrics.md").read_text()
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in ROW.findall(page)}


def told(telemetry, accept):
    request = urllib.request.Request(f"http://{telemetry}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


@pytest.mark.parametrize("form", ["text/plain", "application/openmetrics-text"])
def test_what_is_told_is_what_is_documented(telemetry, form):
    content_type, text = told(telemetry, form)
    assert content_type.startswith(form)
    parse = openmetrics.text_string_to_metric_families if "openmetrics" in form else text_string_to_metric_families
    families = {}
    for family in parse(text):
        name = family.name + "_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels if label != "le"}
        families[name] = (family.type, labels, family.documentation)
    expected = documented()
    assert set(families) == set(expected)
    for name, (kind, labels, help_text) in families.items():
        assert kind == expected[name][0], name
        assert labels <= expected[name][1], name
        assert help_text, name
