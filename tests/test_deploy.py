"""The files in deploy/ fit the worker and each other, as far as can be told without a container engine."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from finalizer.policy.load import load

PROJECT = Path(__file__).parent.parent
WEB_PORT = 6066


def read(name: str) -> Any:
    """Parse a YAML file of the project."""
    return yaml.safe_load((PROJECT / name).read_text())


def test_the_workers_configuration_is_accepted() -> None:
    """`docker compose up` does not end with a complaint about the file that we wrote for it."""
    load((PROJECT / "deploy/finalizer.yaml").read_text(), origin="deploy/finalizer.yaml")


def test_the_collector_behind_reads_what_the_worker_writes() -> None:
    """Topic and encoding are the same on both sides, and the collector speaks to this Kafka and this Jaeger."""
    finalized = read("deploy/finalizer.yaml")["outputs"]["finalized"]
    collector = read("deploy/collector-out.yaml")
    kafka = collector["receivers"]["kafka"]
    assert kafka["traces"] == {"topics": [finalized["topic"]], "encoding": finalized["encoding"]}
    services = read("docker-compose.yml")["services"]
    advertised = services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"INSIDE://{kafka['brokers'][0]}," in advertised
    assert services["finalizer"]["environment"]["FINALIZER_BROKER"] == kafka["brokers"][0]
    assert collector["exporters"]["otlp_grpc"]["endpoint"].split(":")[0] in services


def test_the_worker_reads_what_the_collector_in_front_writes() -> None:
    """Logs are read as partial-span logs and spans as finished ones, from the topics that the collector names."""
    collector = read("deploy/collector-in.yaml")
    kafka = collector["exporters"]["kafka"]
    inputs = {one["topic"]: one["format"] for one in read("deploy/finalizer.yaml")["inputs"]}
    assert inputs[kafka["logs"]["topic"]] == "partial_log"
    assert inputs[kafka["traces"]["topic"]] == "otlp_spans"
    services = read("docker-compose.yml")["services"]
    assert kafka["brokers"] == [services["finalizer"]["environment"]["FINALIZER_BROKER"]]
    listening = {one["endpoint"].split(":")[1] for one in collector["receivers"]["otlp"]["protocols"].values()}
    assert {port.rsplit(":", 1)[1] for port in services["collector-in"]["ports"]} == listening


def test_no_batch_of_the_collector_is_too_large() -> None:
    """The exporter's queue splits below what its producer takes: what is over that is dropped without the SDK's
    knowing."""
    kafka = read("deploy/collector-in.yaml")["exporters"]["kafka"]
    batch = kafka["sending_queue"]["batch"]
    assert batch["sizer"] == "bytes"
    assert batch["max_size"] <= 800_000 < kafka["producer"].get("max_message_bytes", 1_000_000)
    assert {kafka[signal]["encoding"] for signal in ("logs", "traces")} == {"otlp_proto"}, "JSON takes up to four times"


def test_the_web_port_is_the_same_everywhere() -> None:
    """Image, health check, scrape and published ports speak of one port."""
    image = (PROJECT / "deploy/Dockerfile").read_text()
    assert f"EXPOSE {WEB_PORT}\n" in image
    assert f"http://127.0.0.1:{WEB_PORT}/livez" in image
    assert read("deploy/prometheus.yml")["scrape_configs"][0]["dns_sd_configs"][0]["port"] == WEB_PORT
    assert read("docker-compose.yml")["services"]["finalizer"]["ports"][0].endswith(f":{WEB_PORT}")


@pytest.mark.parametrize("service", ["finalizer", "prometheus", "collector-in", "collector-out"])
def test_mounted_files_exist(service: str) -> None:
    """A path that is missing would be mounted as an empty folder, with an error that does not say so."""
    for mount in read("docker-compose.yml")["services"][service]["volumes"]:
        assert (PROJECT / mount.split(":")[0]).is_file()


def test_ports_are_open_to_this_machine_alone() -> None:
    """Nothing here asks for a password, so nothing here listens beyond loopback."""
    published = [port for one in read("docker-compose.yml")["services"].values() for port in one.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_image_needs_no_root_and_writes_only_to_tmp() -> None:
    """The worker runs as a plain user on a read-only root file system."""
    assert "\nUSER 10001\n" in (PROJECT / "deploy/Dockerfile").read_text()
    worker = read("docker-compose.yml")["services"]["finalizer"]
    assert worker["read_only"] is True
    assert worker["tmpfs"] == ["/tmp"]
    assert worker["cap_drop"] == ["ALL"]


def test_the_image_has_what_the_worker_needs() -> None:
    """The package alone is the client: the image asks for the extras that its command cannot do without."""
    image = (PROJECT / "deploy/Dockerfile").read_text()
    assert "'.[worker,otlp]'" in image
    assert "EXTRAS  := worker,demo,otlp,dev\n" in (PROJECT / "Makefile").read_text()
