"""LitServe: all in its worker, `predict` in batches. Frames come in JSON, since it cannot queue the files of a form."""

from __future__ import annotations

import base64
import sys
from typing import Any

import litserve

from benchmarks.core import MAX_BATCH, WAIT_S, FrameModel


class SegmentAPI(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = FrameModel()

    def decode_request(self, request: dict[str, str]) -> Any:
        return self.model.decode(base64.b64decode(request["images"]))

    def batch(self, inputs: list[Any]) -> list[Any]:
        return list(inputs)

    def predict(self, x: list[Any]) -> list[Any]:
        return self.model.segment(x)

    def unbatch(self, output: list[Any]) -> list[Any]:
        return output

    def encode_response(self, output: Any) -> dict[str, Any]:
        return self.model.answer(output)


if __name__ == "__main__":
    api = SegmentAPI(max_batch_size=MAX_BATCH, batch_timeout=WAIT_S, api_path="/segment")
    litserve.LitServer(api, accelerator="cpu", workers_per_device=1).run(
        port=int(sys.argv[1]), generate_client_file=False, log_level="warning"
    )
