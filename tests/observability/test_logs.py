from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import structlog

from lerenet.observability import configure_logs
from lerenet.observability.request_id import request_context


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root, configured = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.configure(**configured)


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_one_json_object_with_its_request(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")

    with request_context("line-3"):
        structlog.get_logger("lerenet.x").info("ready", classes=2)

    [line] = logged(capsys)
    assert line.items() >= {"event": "ready", "classes": 2, "request_id": "line-3", "level": "info"}.items()
    assert line["timestamp"]


def test_libraries_log_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")

    with request_context("line-3"):
        logging.getLogger("uvicorn.error").warning("%d connections", 3)

    [line] = logged(capsys)
    assert (line["event"], line["logger"], line["request_id"]) == ("3 connections", "uvicorn.error", "line-3")


def test_a_traceback_stays_on_its_line_without_local_values(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    secret = "x" * 40

    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger().exception("failed")

    [line] = logged(capsys)
    assert "ValueError: broken" in str(line["exception"])
    assert secret not in str(line)


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "text")

    structlog.get_logger().warning("slow", ms=12)

    text = capsys.readouterr().err
    assert "slow" in text
    assert "ms=12" in text
    assert not text.startswith("{")


def test_what_is_below_the_level_is_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("warning", "json")

    structlog.get_logger().info("detail")
    logging.getLogger("anything").info("detail")

    assert logged(capsys) == []


def test_parsers_do_not_log_what_callers_send(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")

    logging.getLogger("python_multipart.multipart").warning("did not find boundary")

    assert logged(capsys) == []


def test_own_lines_say_which_module_wrote_them(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")

    structlog.get_logger("lerenet.x").info("ready")
    structlog.get_logger().info("ready")

    assert [line["logger"] for line in logged(capsys)] == ["lerenet.x", "lerenet"]


def test_own_lines_have_the_fields_of_library_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")

    structlog.get_logger("lerenet.x").info("%d ready", 3)
    logging.getLogger("uvicorn.error").info("%d ready", 3)

    own, library = logged(capsys)
    assert list(own) == list(library)
    assert own["event"] == library["event"] == "3 ready"


def test_a_value_json_cannot_hold_is_shown_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")

    structlog.get_logger().info("ready", kinds={"cpu"})

    assert logged(capsys)[0]["kinds"] == "{'cpu'}"


@pytest.mark.parametrize(
    "failure", [OSError(28, "No space left on device"), ValueError("I/O operation on closed file")]
)
def test_a_line_that_cannot_be_written_fails_nobody(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    class Full:
        def write(self, text: str) -> int:
            raise failure

    configure_logs("info", "json")
    monkeypatch.setattr("sys.stderr", Full())

    structlog.get_logger().info("request")


def test_threads_do_not_mix_their_lines(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    log = structlog.get_logger("lerenet.x")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda i: log.info("request", i=i, padding="x" * 9_000), range(40)))

    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert sorted(line["i"] for line in lines) == list(range(40))


def test_a_text_that_a_caller_sent_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "text")

    structlog.get_logger("lerenet.x").info("request", path="/a\nready")

    assert len(capsys.readouterr().err.splitlines()) == 1
