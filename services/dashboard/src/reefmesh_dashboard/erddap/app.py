"""The application below ``/erddap``."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reefmesh.clock import Clock
from reefmesh.errors import TransientError
from reefmesh_dashboard.api.parameters import shown
from reefmesh_dashboard.erddap.about import dataset_info, dataset_list, resources
from reefmesh_dashboard.erddap.failure import ErddapFailure, failure_answer, listed, not_found
from reefmesh_dashboard.erddap.plain_table import table_answer
from reefmesh_dashboard.erddap.searching import found_datasets
from reefmesh_dashboard.erddap.tabledap import RETRY_AFTER_SECONDS, Tabledap
from reefmesh_dashboard.exports.catalogue import DATASETS
from reefmesh_dashboard.exports.dataset import Dataset
from reefmesh_dashboard.exports.downloads import Downloads
from reefmesh_dashboard.exports.publisher import DataPublisher, global_attributes
from reefmesh_dashboard.queries.reading import Reader

ERDDAP_MOUNT: Final = "/erddap"
PAGES: Final = (
    "index.csv, info/index.csv, info/ID/index.csv, search/index.csv, search/advanced.csv, tabledap/index.csv (each as .json,"
    " too), tabledap/ID.csv"
)

Endpoint = Callable[[Request], Awaitable[Response]]


def make_erddap(reader: Reader, *, clock: Clock, publisher: DataPublisher, downloads: Downloads) -> Starlette:
    """Return the application that answers below ``ERDDAP_MOUNT``."""
    tabledap = Tabledap(reader, clock=clock, publisher=publisher, downloads=downloads)

    async def top(request: Request) -> Response:
        return table_answer(resources(_address(request)), _suffix(request))

    async def everything(request: Request) -> Response:
        _parameters(request)
        return table_answer(dataset_list(DATASETS.values(), publisher, _address(request)), _suffix(request))

    async def info(request: Request) -> Response:
        dataset = _dataset(request.path_params["dataset_id"])
        attributes = global_attributes(dataset, publisher, made_at=clock.now())
        return table_answer(dataset_info(dataset, attributes, await dataset.time_range(reader)), _suffix(request))

    async def search(request: Request) -> Response:
        found = found_datasets(list(DATASETS.values()), publisher, _parameters(request))
        return table_answer(dataset_list(found, publisher, _address(request)), _suffix(request))

    async def data(request: Request) -> Response:
        dataset_id, dot, suffix = request.path_params["file"].partition(".")
        has_body = request.method != "HEAD"
        return await tabledap.answer(_dataset(dataset_id), dot + suffix, request.scope["query_string"], has_body=has_body)

    routes = [
        Route("/index.{suffix}", top),
        Route("/info/index.{suffix}", everything),
        Route("/tabledap/index.{suffix}", everything),
        Route("/info/{dataset_id}/index.{suffix}", info),
        Route("/search/index.{suffix}", search),
        Route("/search/advanced.{suffix}", search),
        Route("/tabledap/{file}", data),
    ]
    return Starlette(
        routes=routes,
        exception_handlers={ErddapFailure: _failed, TransientError: _away, HTTPException: _other},
    )


async def _failed(_: Request, error: Exception) -> Response:
    if not isinstance(error, ErddapFailure):
        raise error
    return failure_answer(error)


async def _away(_: Request, __: Exception) -> Response:
    detail = f"the data cannot be read now; try again in {RETRY_AFTER_SECONDS} seconds"
    headers = {"retry-after": str(RETRY_AFTER_SECONDS)}
    return failure_answer(ErddapFailure(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=headers))


async def _other(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    status = HTTPStatus(error.status_code)
    return failure_answer(ErddapFailure(status, f"there is {listed([PAGES])} below {ERDDAP_MOUNT}/", headers=error.headers))


def too_many_requests(seconds: int) -> Response:
    """Return the answer to a client that has asked too often."""
    detail = f"too many requests from this address; try again in {seconds} seconds"
    return failure_answer(ErddapFailure(HTTPStatus.TOO_MANY_REQUESTS, detail, headers={"retry-after": str(seconds)}))


def _dataset(dataset_id: str) -> Dataset:
    dataset = DATASETS.get(dataset_id)
    if dataset is None:
        raise not_found(f"Currently unknown datasetID={shown(dataset_id)}. Allowed: {listed(DATASETS)}.")
    return dataset


def _suffix(request: Request) -> str:
    return f".{request.path_params['suffix']}"


def _address(request: Request) -> str:
    """Return the address of the application as the client sees it."""
    return str(request.base_url).rstrip("/") + ERDDAP_MOUNT


def _parameters(request: Request) -> dict[str, list[str]]:
    """Return the parameters of a query; of undecodable bytes it has replacement characters."""
    return parse_qs(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
