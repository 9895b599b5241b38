"""What the files of the image promise, as they stand; tests/services/test_image.py takes their steps."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
LAST_STAGE = DOCKERFILE.rsplit("\nFROM ", 1)[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
LOCKS = ("requirements.lock", "requirements.image.lock")


def read_pins(name: str) -> dict[tuple[str, str], str]:
    """Return the version of each package of a lock, by its name and the Pythons that it is for."""
    entries = re.findall(r"^([\w.-]+==[^\\\n]+)\\$", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    pins = [Requirement(entry.strip()) for entry in entries]
    return {(pin.name, str(pin.marker)): str(pin.specifier) for pin in pins}


def test_the_image_and_the_checkout_run_the_same_versions():
    checkout, image = (read_pins(name) for name in LOCKS)
    versions = {name: {version for (known, _), version in checkout.items() if known == name} for name, _ in checkout}
    differing = {pin: version for pin, version in image.items() if version not in versions.get(pin[0], {version})}
    assert len(image) > 150
    assert differing == {}


def test_all_that_the_image_installs_is_checked_against_a_hash():
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements.image.lock").read_text(encoding="utf-8").strip())
    assert [entry for entry in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}", entry)] == []
    assert re.findall(r"://|(?m:^)-", "\n".join(entries)) == []
    assert "--require-hashes" in DOCKERFILE
    assert "--constraints requirements.image.lock --build-constraints requirements.lock" in DOCKERFILE


def test_every_extra_that_the_image_takes_is_locked():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    asked = [Requirement(text) for name, texts in extras.items() if name not in {"dev", "demo", "torch"} for text in texts]
    versions = {name: Version(version.removeprefix("==")) for (name, _), version in read_pins("requirements.image.lock").items()}
    assert [str(need) for need in asked if not need.specifier.contains(versions[need.name])] == []


def test_the_image_does_not_run_as_root_and_carries_no_secret():
    assert re.findall(r"^USER (\S+)", LAST_STAGE, re.MULTILINE) == ["10001"]
    assert re.findall(r"(?i)^(?:ARG|ENV).*(?:password|secret|token|key=)", DOCKERFILE, re.MULTILINE) == []
    assert (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()[1] == "*"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_names_its_image_by_version_and_no_password(name):
    service = SERVICES[name]
    assert re.fullmatch(r"\$\{ANOMFLOW_IMAGE:-anomflow:local\}|postgres:\d+\.\d+-\w+", service["image"])
    values = [str(value) for key, value in service.get("environment", {}).items() if "PASSWORD" in key or "URL" in key]
    assert [value for value in values if re.search(r":[^/$]*[^/$:@]+@", value.replace("${POSTGRES_PASSWORD}", "$"))] == []


def test_ports_are_open_on_the_machine_itself_only():
    assert [port for service in SERVICES.values() for port in service.get("ports", []) if not port.startswith("127.0.0.1:")] == []


def test_services_wait_for_what_they_need():
    needs = {name: {need: how["condition"] for need, how in service.get("depends_on", {}).items()} for name, service in SERVICES.items()}
    assert needs == {
        "postgres": {},
        "server": {"postgres": "service_healthy"},
        "deploy": {"server": "service_healthy"},
        "worker": {"deploy": "service_completed_successfully"},
    }
    assert "healthcheck" in SERVICES["postgres"]
    assert {"server", "worker"} == {name for name, service in SERVICES.items() if "ANOMFLOW_HEALTH_URL" in service.get("environment", {})}


def test_data_outlives_its_containers():
    mounted = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    assert COMPOSE["volumes"].keys() <= {mount.split(":")[0] for mount in mounted}
    assert [mount for mount in mounted if mount.startswith("./") and not mount.endswith(":ro")] == []
