"""Time that runs faster asks nobody's provider more often than is polite."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from controlplane.config import Config, ConfigError, EngineConfig, load_config

FASTER = {"start": "2023-01-01T00:00Z", "speed": 3600}
FILE = {"source": "file", "path": "day.csv"}
SDK = {"source": "carbon-aware-sdk", "location": "x", "kind": "average", "basis": "direct"}
EM = {"source": "electricity-maps", "zone": "DE", "token_file": "em"}


def load(folder, content: dict[str, Any], kind: type[Any] = EngineConfig) -> Any:
    path = folder / "carbonrouter.yaml"
    path.write_text(yaml.safe_dump(content))
    return load_config(path, kind)


@pytest.mark.parametrize(
    "section",
    [
        {"source": "gb"},
        EM,
        {"source": "gb", "base_url": "http://10.0.0.1:5000"},
        {"source": "gb", "base_url": "https://localhost.example.org"},
        {**SDK, "base_url": "http://sdk.example.org"},
    ],
    ids=str,
)
def test_a_provider_elsewhere_is_refused_in_words(tmp_path, section):
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, {"rehearsal": FASTER, "sources": {"default": section}})
    [line] = str(refused.value).splitlines()
    assert f"rehearsal.speed: 3600 would ask the provider of sources.default ({section['source']})" in line
    assert "carbonrouter carbon-sim" in line


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "127.8.8.8", "[::1]:5000", "localhost:5000"])
@pytest.mark.parametrize("section", [{"source": "gb"}, EM, SDK], ids=lambda section: section["source"])
def test_providers_on_this_machine_and_files_may_be_asked_often(tmp_path, section, host):
    sources = {"default": {**section, "base_url": f"http://{host}"}, "file": FILE}
    assert load(tmp_path, {"rehearsal": FASTER, "sources": sources}).rehearsal.speed == 3600


@pytest.mark.parametrize("speed", [0.5, 1])
def test_at_the_speed_of_life_or_slower_every_provider_may_be_asked(tmp_path, speed):
    content = {"rehearsal": {**FASTER, "speed": speed}, "sources": {"default": {"source": "gb"}}}
    assert load(tmp_path, content).rehearsal.speed == speed


def test_a_service_with_a_source_of_its_own_is_looked_at_too(tmp_path):
    flavours = [{"name": "best", "precision_pct": 100, "energy_j": 10, "endpoints": ["127.0.0.1:9001"]}]
    service = {"name": "shop", "budget": {"max_error_pct": 4}, "flavours": flavours, "carbon": {"source": "gb"}}
    with pytest.raises(ConfigError, match=r"the provider of service default/shop \(gb\)"):
        load(tmp_path, {"rehearsal": FASTER, "services": [service]}, Config)
    by_name = {"rehearsal": FASTER, "sources": {"gb": {"source": "gb"}}, "services": [{**service, "carbon": "gb"}]}
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, by_name, Config)
    assert "sources.gb" in str(refused.value)
    assert "service default/shop" not in str(refused.value), "one mistake is told once"
