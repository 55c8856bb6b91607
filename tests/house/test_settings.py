from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from lerenet.errors import ConfigurationError
from lerenet.settings import Settings, load_settings, unknown_variables


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(f"LERENET_{field.upper()}", raising=False)


def test_a_variable_sets_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LERENET_PORT", "9000")
    monkeypatch.setenv("LERENET_DATA_DIR", "/data")
    monkeypatch.setenv("LERENET_DEADLINE_S", "2.5")

    settings = load_settings()

    assert (settings.port, settings.data_dir, settings.deadline_s) == (9000, Path("/data"), 2.5)


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LERENET_WEIGHTS", "")
    monkeypatch.setenv("LERENET_PORT", "")

    assert (load_settings().weights, load_settings().port) == (None, 8000)


def test_an_override_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LERENET_PORT", "9000")

    assert load_settings(port=9001).port == 9001


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("LERENET_PORT", "http", "LERENET_PORT"),
        ("LERENET_PORT", "65536", "LERENET_PORT"),
        ("LERENET_PORT", "tcp://10.0.0.7:8000", "Kubernetes"),
        ("LERENET_DEADLINE_S", "0", "LERENET_DEADLINE_S"),
        ("LERENET_DEADLINE_S", "inf", "LERENET_DEADLINE_S"),
        ("LERENET_MAX_IMAGES", "0", "LERENET_MAX_IMAGES"),
        ("LERENET_PRECISION", "fp8", "LERENET_PRECISION"),
        ("LERENET_LOG_FORMAT", "xml", "LERENET_LOG_FORMAT"),
        ("LERENET_WEIGHTS_SHA256", "abc", "LERENET_WEIGHTS_SHA256"),
        ("LERENET_ROOT_PATH", "lerenet", "LERENET_ROOT_PATH"),
        ("LERENET_LABEL_STUDIO_URL", "label-studio:8080", "http://HOST"),
        ("LERENET_LABEL_STUDIO_URL", "http://me:secret@label-studio", "http://HOST"),  # pragma: allowlist secret
        ("LERENET_DATABASE_URL", "mysql://me:secret@db/lerenet", "postgresql://USER"),  # pragma: allowlist secret
        ("LERENET_DATABASE_STALE_S", "0", "LERENET_DATABASE_STALE_S"),
        ("LERENET_MAX_HELD_PIXELS", "1000", "LERENET_MAX_IMAGE_PIXELS"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, named: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(ConfigurationError, match=named) as refused:
        load_settings()

    assert "secret" not in str(refused.value)


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="LERENET_COLOUR"):
        load_settings(colour="red")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        load_settings().port = 1


def test_a_slash_at_the_end_of_the_root_path_is_dropped() -> None:
    assert load_settings(root_path="/lerenet/").root_path == "/lerenet"


def test_misspelt_variables_are_found() -> None:
    environment = {"LERENET_PRT": "1", "LERENET_PORT": "1", "LERENET_TEST_DATA": "x", "lerenet_host": "x", "PATH": "x"}

    assert unknown_variables(environment) == ["LERENET_PRT"]
