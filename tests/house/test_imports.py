"""What is loaded by an import, seen from a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest


def loaded_by(statement: str) -> set[str]:
    """Names of the modules that a statement loads."""
    program = f"import sys; {statement}; print('\\n'.join(sys.modules))"
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    return set(output.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import lerenet",
        "import lerenet.errors, lerenet.imaging",
        "import lerenet.formats.outlines, lerenet.formats.polygons",
        "import lerenet.inference.batcher",
        "import lerenet.jobs",
        "import lerenet.settings, lerenet.client, lerenet.observability",
    ],
)
def test_what_needs_no_tensor_loads_neither_torch_nor_fastapi(statement: str) -> None:
    assert not loaded_by(statement) & {"torch", "fastapi", "starlette"}


def test_the_bare_package_loads_nothing_else() -> None:
    assert not loaded_by("import lerenet") & {"numpy", "PIL", "pydantic", "httpx"}


def test_the_server_loads_no_training() -> None:
    loaded = loaded_by("import lerenet.api.server")

    assert "torch" in loaded
    rooms = {name.split(".")[1] for name in loaded if name.startswith("lerenet.")}
    assert not rooms & {"training", "evaluation", "synthetic", "bench", "cli", "client"}
    assert not loaded & {"matplotlib", "psycopg", "alembic"}


def test_a_registry_in_a_folder_loads_nothing_of_a_database() -> None:
    loaded = loaded_by(
        "import lerenet.cli.registry; from pathlib import Path; import tempfile;"
        " from lerenet.support.backing import open_folder; open_folder(Path(tempfile.mkdtemp())).store.close()"
    )

    assert not {name.split(".")[0] for name in loaded} & {"alembic", "psycopg", "psycopg_pool", "sqlalchemy"}


def test_a_database_without_its_libraries_names_what_to_install() -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from lerenet.errors import ConfigurationError\n"
        "from lerenet.support.backing import open_database\n"
        "try:\n    open_database('postgresql://me@nowhere/lerenet')\n"
        "except ConfigurationError as error:\n    print(error.detail)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout

    assert "pip install 'lerenet[postgres]'" in told


def test_importing_the_server_starts_nothing() -> None:
    program = (
        "import threading, os; before = set(os.listdir('.')); import lerenet.api.server;"
        "assert threading.active_count() == 1, threading.enumerate(); assert set(os.listdir('.')) == before"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
