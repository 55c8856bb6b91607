"""`/predict`, `/setup` and `/health` as Label Studio asks them of a machine learning backend."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from lerenet import errors
from lerenet.api.bodies import Body
from lerenet.api.core_dependencies import ReadyRuntimeDep
from lerenet.api.disconnection import unless_gone
from lerenet.api.documents import BODIES, IMAGES, json_body, problems, request_body
from lerenet.api.forms import read_json
from lerenet.api.label_studio_host import LabelStudioHost
from lerenet.api.masks import PredictionBody
from lerenet.api.prelabels import Prelabels, prelabels
from lerenet.formats.label_config import BrushControl, brush_control
from lerenet.formats.label_studio import Prediction
from lerenet.settings import Settings

router = APIRouter(tags=["label studio"])

LabelConfig = Annotated[str | None, Field(description="XML; without it a class is its own label")]


class Task(BaseModel):
    """A task; what else Label Studio sends of it is passed over."""

    data: dict[str, Any] = Field(examples=[{"image": "/data/upload/1/plate.png"}])


class PredictRequest(BaseModel):
    """What Label Studio wants predictions for."""

    tasks: list[Task]
    label_config: LabelConfig = None


class SetupRequest(BaseModel):
    """What Label Studio tells of a project; its address and token are not used."""

    label_schema: LabelConfig = Field(None, alias="schema")


class _Versioned(Body):
    model_config = ConfigDict(protected_namespaces=())

    model_version: str = Field(examples=["scratches@9f2d04c1a7be3358"])


class SetupAnswer(_Versioned):
    """The classes that predictions will be made with, and their revisions."""


class PredictAnswer(_Versioned):
    """One prediction for each task, in order."""

    results: list[PredictionBody]


class BackendHealth(Body):
    """Predictions are made."""

    status: Literal["UP"]
    model_class: Literal["LERENet"]

    model_config = ConfigDict(protected_namespaces=())


@router.post(
    "/predict",
    operation_id="label_studio_predict",
    summary="Predictions for tasks of Label Studio",
    response_model=PredictAnswer,
    openapi_extra=request_body(
        json=json_body(PredictRequest, {"tasks": [{"data": {"image": "/data/upload/1/a.png"}}]})
    ),
    responses=problems(
        *BODIES, *IMAGES, errors.NoSupportClasses, errors.UnknownClass, errors.ServiceError, errors.DeadlineExceeded
    ),
)
async def predict(request: Request, runtime: ReadyRuntimeDep) -> PredictAnswer:
    """With the classes that have a label, by name or `predicted_values`. All tasks are answered, or none."""
    async with runtime.work(runtime.settings.deadline_s):
        asked = await read_json(request, PredictRequest)
    found = await prelabels(runtime, _control(asked.label_config, "/label_config"))
    if asked.tasks:
        found.require_classes()
    made = await unless_gone(request, _predicted(runtime.settings, found, [task.data for task in asked.tasks]))
    return PredictAnswer(results=[PredictionBody.model_validate(each) for each in made], model_version=found.version)


@router.post(
    "/setup",
    operation_id="label_studio_setup",
    summary="Connect a project of Label Studio",
    response_model=SetupAnswer,
    openapi_extra=request_body(json=json_body(SetupRequest, {"schema": "<View>...</View>"})),
    responses=problems(*BODIES),
)
async def setup(request: Request, runtime: ReadyRuntimeDep) -> SetupAnswer:
    """Checks the labelling configuration. There need not be a class for its labels yet."""
    async with runtime.work(runtime.settings.deadline_s):
        asked = await read_json(request, SetupRequest)
    found = await prelabels(runtime, _control(asked.label_schema, "/schema"))
    return SetupAnswer(model_version=found.version)


@router.get(
    "/health",
    operation_id="label_studio_health",
    summary="Are predictions made?",
    response_model=BackendHealth,
    responses=problems(),
)
async def health(runtime: ReadyRuntimeDep) -> BackendHealth:
    """As Label Studio asks; `/readyz` says the same."""
    return BackendHealth(status="UP", model_class="LERENet")


def _control(label_config: str | None, pointer: str) -> BrushControl:
    return brush_control(label_config, pointer=pointer) if label_config else BrushControl()


async def _predicted(settings: Settings, found: Prelabels, tasks: list[dict[str, Any]]) -> list[Prediction]:
    secret, url = settings.label_studio_token, settings.label_studio_url or ""
    token = None if secret is None else secret.get_secret_value()
    async with LabelStudioHost(url, token=token, max_bytes=settings.max_body_bytes) as host:
        await host.sign_in()
        return await found.predict(tasks, host)
