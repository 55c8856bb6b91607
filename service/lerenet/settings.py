"""Every setting of the service: an environment variable `LERENET_<FIELD>`, read once and frozen."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from lerenet.addresses import is_database_address
from lerenet.errors import ConfigurationError

PREFIX = "LERENET_"

NOT_OF_THE_SERVICE = frozenset(
    {"LERENET_API_KEY", "LERENET_PUBLISH", "LERENET_TEST_DATA", "LERENET_TEST_SCREENSHOTS", "LERENET_URL"}
)
"""Variables that the client, the compose files and the tests read."""

MIB = 1 << 20

STALL_S = 25.0
"""A full batch takes 3 s on one CPU core, so that a silence of 25 s is no slow device. Detection is due within 30 s."""

COMPILING_STALL_S = 600.0
"""torch.compile is silent for half a minute or more at each new size."""

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseSettings):
    """What an operator decides. Sizes of a request and of a class are published under `/limits`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Address to listen on; `0.0.0.0` for every network interface.")
    port: int = Field(8000, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    root_path: str = Field("", description="Path under which a proxy publishes the service, such as `/lerenet`.")
    forwarded_allow_ips: str = Field(
        "127.0.0.1", description="Proxies whose `X-Forwarded-*` headers count: comma-separated addresses, or `*`."
    )

    http_processes: int = Field(
        0,
        ge=0,
        le=64,
        description="Processes that speak HTTP, decode and render beside the one that has the device; 0: that one does"
        " it all.",
    )

    api_keys_file: Path | None = Field(
        None, description="Hashed API keys, as `lerenet keys` writes them; unset: everything is open."
    )
    docs: Literal["open", "key", "off"] = Field(
        "key", description="`/docs` and `/openapi.json`: `key` like other routes, `open` without a key, or `off`."
    )
    metrics: Literal["open", "key", "off"] = Field("key", description="`/metrics`, likewise.")
    cors_origins: str = Field(
        "", description="Origins whose pages may ask, such as `https://mes.example`: comma-separated, or `*`."
    )

    data_dir: Path = Field(Path("data"), description="Folder of the registry and its prototypes; made when missing.")
    database_url: SecretStr | None = Field(
        None,
        description="`postgresql://USER:PASSWORD@HOST/DATABASE` with the registry of several replicas; unset: the data"
        " folder holds it.",
    )
    database_stale_s: Seconds = Field(
        60.0,
        description="Longest time that classes are served from memory while the database cannot be reached, in seconds;"
        " then 503.",
    )
    weights: Path | None = Field(None, description="Weights file (safetensors); unset: the one that is shipped.")
    weights_sha256: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="Digest that the weights file must have; unset: that of the `manifest.toml` beside it, if any.",
    )
    prototype_cache_bytes: Count = Field(512 * MIB, description="Memory of the device for prototypes.")
    prototype_host_bytes: Count = Field(
        512 * MIB, description="Host memory for prototypes that the device has no room for; the rest waits on disk."
    )

    device: str = Field("auto", description="`auto` (CUDA where there is one), `cuda`, `cuda:1`, or `cpu`.")
    precision: Literal["auto", "float32", "tf32", "bf16"] = Field(
        "auto", description="Of the network; `auto` is `tf32` on CUDA and `float32` on the CPU, which has no `tf32`."
    )
    acceleration: Literal["auto", "none", "cuda_graphs", "compile"] = Field(
        "auto",
        description="How the network is run on frames: `cuda_graphs` records each shape of batch that keeps coming, and"
        " launches it at once (CUDA only; `auto` there); `compile` is torch.compile: it needs a C++ compiler, and the"
        " first frames of each size wait for it, half a minute or more; `none`, `auto` on the CPU.",
    )
    threads: Count | None = Field(
        None, description="CPU threads of the network; unset: as many as this process may use."
    )
    codec_threads: Count | None = Field(
        None, description="Threads that decode, and as many that encode; unset: as `threads`, at most 8."
    )

    max_body_bytes: Count = Field(128 * MIB, description="Bytes in a request's body.")
    max_image_pixels: Count = Field(80_000_000, description="Pixels of an image.")
    max_image_side_px: Count = Field(32_768, description="Longer side of an image, in pixels.")
    max_images: Count = Field(32, description="Images in a request to `/segment`.")
    max_shots: Count = Field(32, description="Marked images of a class.")
    max_normals: Count = Field(32, description="Defect-free images of a class.")
    max_classes: Count = Field(1_000, description="Classes in the registry.")
    deadline_s: Seconds = Field(30.0, description="Longest time for a segmentation, in seconds; then 504.")
    registration_deadline_s: Seconds = Field(600.0, description="The same for a registration, in seconds.")

    max_held_bytes: Count = Field(1024 * MIB, description="Bytes of bodies in memory, over all requests; then 503.")
    max_held_pixels: Count = Field(
        320_000_000, description="Pixels of decoded images in memory, over all requests; also the most in one request."
    )
    max_queue_images: Count = Field(256, description="Images that may wait for the device; then 503.")
    max_queue_pixels: Count = Field(
        200_000_000, description="Work that may wait: pixels at the working scale, a class counting one fifth more."
    )
    max_map_pixels: Count = Field(
        256_000_000, description="Pixels of probability maps that may wait to be encoded; the device rests meanwhile."
    )
    max_batch_images: Count = Field(32, description="Images in one batch.")
    max_batch_pixels: Count | None = Field(
        None, description="Pixels in one batch, at the working scale; unset: 1,048,576 on the CPU, 4,194,304 on CUDA."
    )
    stall_s: Seconds | None = Field(
        None,
        description="Silence of the device for longer, in seconds, ends the process, and silence of one of"
        " `http_processes` has it replaced; unset: 25, and 600 where torch.compile may keep the device busy.",
    )
    drain_delay_s: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="Behind a balancer: how long `/readyz` is red before connections are refused, in seconds; its"
        " checks should notice meanwhile. Requests are answered as ever.",
    )
    drain_s: Seconds = Field(20.0, description="Time that accepted work gets when the service stops, in seconds.")

    label_studio_url: str | None = Field(
        None,
        description="Label Studio whose tasks `/predict` answers, the only host that images are read from; unset: off.",
    )
    label_studio_token: SecretStr | None = Field(
        None, description="Token of a Label Studio account that may see those images."
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["json", "text"] = Field("json", description="`json` for machines, `text` for people.")

    @property
    def longest_silence_s(self) -> float:
        """How long the device may give no sign of life, in seconds."""
        if self.stall_s is not None:
            return self.stall_s
        return COMPILING_STALL_S if self.acceleration == "compile" else STALL_S

    @property
    def longest_process_silence_s(self) -> float:
        """How long processes of one service may say nothing to each other, in seconds."""
        return STALL_S if self.stall_s is None else self.stall_s

    @field_validator("port", mode="before")
    @classmethod
    def _refuse_service_link(cls, port: object) -> object:
        if isinstance(port, str) and "://" in port:
            raise ValueError(
                "set by Kubernetes for a Service called lerenet: rename it, or set enableServiceLinks to false"
            )
        return port

    @model_validator(mode="after")
    def _hold_one_request(self) -> Self:
        for held, largest in (("max_held_bytes", "max_body_bytes"), ("max_held_pixels", "max_image_pixels")):
            if getattr(self, held) < getattr(self, largest):
                raise ValueError(f"{PREFIX}{held.upper()} must be at least {PREFIX}{largest.upper()}")
        return self

    @field_validator("label_studio_url")
    @classmethod
    def _require_address(cls, url: str | None) -> str | None:
        if url is not None and not re.match(r"https?://[^/@\s]+(/\S*)?$", url):
            raise ValueError("write it as http://HOST:PORT or https://HOST")
        return url

    @field_validator("database_url")
    @classmethod
    def _require_postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not is_database_address(url.get_secret_value()):
            raise ValueError("write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
        return url

    @field_validator("cors_origins")
    @classmethod
    def _require_origins(cls, origins: str) -> str:
        for origin in filter(None, map(str.strip, origins.split(","))):
            if origin != "*" and not re.fullmatch(r"https?://[^/@*\s]+", origin):
                raise ValueError(
                    f"{origin[:80]!r} is no origin: write https://HOST or http://HOST:PORT, without a path"
                )
        return origins

    @field_validator("root_path")
    @classmethod
    def _normalise_root_path(cls, root_path: str) -> str:
        if root_path and not root_path.startswith("/"):
            raise ValueError("begin it with a slash")
        return root_path.rstrip("/")


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment, and from `overrides` before it.

    Raises:
        ConfigurationError: A value that cannot be; the detail names the variable and the reason.
    """
    try:
        return Settings(**overrides)
    except ValidationError as err:
        raise ConfigurationError("; ".join(map(_explained, err.errors(include_url=False)))) from err


def unknown_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Variables with our prefix that mean nothing here, such as misspelt ones; sorted."""
    known = {f"{PREFIX}{field.upper()}" for field in Settings.model_fields} | NOT_OF_THE_SERVICE
    return sorted(name for name in environment if name.upper().startswith(PREFIX) and name.upper() not in known)


def _explained(fault: ErrorDetails) -> str:
    variable = "".join(f"{PREFIX}{str(part).upper().removeprefix(PREFIX)}: " for part in fault["loc"][:1])
    return f"{variable}{fault['msg'].removeprefix('Value error, ')}"
