"""Whatever is read from disk or from a caller while the service works, none of it is unpickled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import asyncio, pickle, sys
from pathlib import Path

events = []
sys.addaudithook(lambda event, arguments: events.append(event) if event == "pickle.find_class" else None)
pickle.loads(pickle.dumps(Path))  # the hook sees what it should
assert events == ["pickle.find_class"]
events.clear()

from api.plates import form, image_part, plate_png, register
from lerenet.runtime.engine import build_engine
from lerenet.settings import Settings
from serving import running_client


async def serve(settings):
    async with running_client(settings, build=build_engine) as client:
        if not (await client.get("/support")).json()["classes"]:
            await register(client)
        assert (await client.post("/segment", **form(image_part(plate_png())))).status_code == 200


settings = Settings(data_dir=sys.argv[1], weights=sys.argv[2], device="cpu", threads=1)
asyncio.run(serve(settings))
asyncio.run(serve(settings))  # with the classes and prototypes of the first
assert events == [], events
"""


def test_a_service_at_work_unpickles_nothing(tmp_path: Path, tiny_weights: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path), str(tiny_weights)], env=environment, check=True)
