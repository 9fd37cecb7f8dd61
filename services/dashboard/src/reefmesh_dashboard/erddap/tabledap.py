"""Answers ``/erddap/tabledap/ID.form?question``."""

import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from http import HTTPStatus
from pathlib import Path

from starlette.responses import Response

from reefmesh.clock import Clock
from reefmesh_dashboard.api.parameters import shown
from reefmesh_dashboard.erddap.about import das_text, dds_text
from reefmesh_dashboard.erddap.download import Download, bytes_of, text_of
from reefmesh_dashboard.erddap.failure import NO_ROWS, ErddapFailure, listed, not_found, wrong_query
from reefmesh_dashboard.erddap.forms import DAS, DDS, EVERY_FORM, FILES, HTML, STREAMED, FileForm
from reefmesh_dashboard.erddap.instants import names_an_end
from reefmesh_dashboard.erddap.question import Question, decoded, read_question
from reefmesh_dashboard.exports.dataset import Dataset
from reefmesh_dashboard.exports.downloads import Downloads, DownloadTooLong, TooManyDownloads
from reefmesh_dashboard.exports.files import (
    FormatNotInstalled,
    batches_of,
    columns_of,
    fill_row_file,
    make_file,
    require_format,
)
from reefmesh_dashboard.exports.geojson_form import PLACE
from reefmesh_dashboard.exports.html_form import HtmlForm
from reefmesh_dashboard.exports.publisher import DataPublisher, global_attributes
from reefmesh_dashboard.exports.row_file import FileTooLarge
from reefmesh_dashboard.exports.rows import TableChoice, row_pages
from reefmesh_dashboard.exports.text_form import TextForm
from reefmesh_dashboard.exports.variable import Attribute
from reefmesh_dashboard.queries.reading import Reader

RETRY_AFTER_SECONDS = 5
ASK_FOR_LESS = "Ask for fewer variables, a shorter time, or fewer reefs"


class Tabledap:
    """Answers questions; its readers are stateless, what it limits is counted in ``downloads``."""

    def __init__(self, reader: Reader, *, clock: Clock, publisher: DataPublisher, downloads: Downloads) -> None:
        self._reader = reader
        self._clock = clock
        self._publisher = publisher
        self._downloads = downloads

    async def answer(self, dataset: Dataset, suffix: str, query: bytes, *, has_body: bool = True) -> Response:
        """Return the answer; without a body (HEAD) no row is read.

        Raises:
            ErddapFailure: the question is wrong, has no answer, or asks for too much.
            TransientError: the database is away.
        """
        if suffix not in EVERY_FORM:
            raise wrong_query(f"fileType={shown(suffix)}", "there is no such form", listed(EVERY_FORM))
        text = decoded(query)
        if suffix == DAS:
            return Response(das_text(dataset, self._attributes(dataset), await dataset.time_range(self._reader)))
        time_range = await dataset.time_range(self._reader) if names_an_end(text) else None
        question = read_question(text, dataset, now=self._clock.now(), time_range=time_range)
        if suffix == DDS:
            return Response(dds_text(question.choice.variables))
        names = {variable.name for variable in question.choice.variables}
        if suffix == ".geoJson" and not set(PLACE) <= names:
            raise wrong_query("variables", "a point needs its place", f"variables with {listed(PLACE)}")
        if not has_body:
            return Response(media_type=_media_type(suffix))
        return await self._download(question, suffix)

    def _attributes(self, dataset: Dataset) -> Mapping[str, Attribute]:
        return global_attributes(dataset, self._publisher, made_at=self._clock.now())

    async def _download(self, question: Question, suffix: str) -> Response:
        """Return an answer that holds what it needs until it is sent."""
        try:
            async with AsyncExitStack() as stack:
                stack.enter_context(self._downloads.slot())
                if (file_form := FILES.get(suffix)) is not None:
                    return await self._file(question, file_form, stack)
                return await self._text(question, suffix, stack)
        except TooManyDownloads:
            detail = f"{self._downloads.limits.at_once} downloads are under way; try again in {RETRY_AFTER_SECONDS} seconds"
            headers = {"retry-after": str(RETRY_AFTER_SECONDS)}
            raise ErddapFailure(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=headers) from None
        except DownloadTooLong as error:
            detail = f"Your query took longer than {error.seconds:g} seconds. {ASK_FOR_LESS}."
            raise ErddapFailure(HTTPStatus.REQUEST_TIMEOUT, detail) from None
        except FileTooLarge as error:
            self._downloads.refused("size")
            detail = (
                f"Your query needs a temporary file of more than {error.bytes_limit} bytes. {ASK_FOR_LESS},"
                " or .csv or .jsonlKVP without distinct() and orderBy, which have no such limit."
            )
            raise ErddapFailure(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail) from None
        except FormatNotInstalled as error:
            raise ErddapFailure(HTTPStatus.NOT_IMPLEMENTED, str(error)) from None

    async def _text(self, question: Question, suffix: str, stack: AsyncExitStack) -> Response:
        choice = question.choice
        pages = self._downloads.in_time(row_pages(self._reader, choice))
        if not question.is_as_it_comes:
            folder = _folder(stack)
            limit = self._downloads.limits.bytes_limit
            rows = await fill_row_file(folder, choice.variables, pages, bytes_limit=limit, stack=stack)
            if rows is None:
                raise not_found(NO_ROWS)
            pages = batches_of(rows, question.ordering)
        first = await anext(pages, None)
        if first is None:
            raise not_found(NO_ROWS)
        body = text_of(self._form(choice, suffix), first, pages)
        name = None if suffix == HTML else f"{choice.dataset.dataset_id}{suffix}"
        return Download(body, held=stack.pop_all(), media_type=_media_type(suffix), file_name=name)

    async def _file(self, question: Question, form: FileForm, stack: AsyncExitStack) -> Response:
        require_format(form.file_format)
        choice, folder = question.choice, _folder(stack)
        columns = columns_of(choice, form.file_format)
        asked = TableChoice(dataset=choice.dataset, variables=columns, constraints=choice.constraints)
        ordering = question.ordering.moved(choice.variables, columns)
        path = await make_file(
            folder,
            form.file_format,
            asked,
            self._downloads.in_time(row_pages(self._reader, asked)),
            self._attributes(choice.dataset),
            ordering=ordering,
            bytes_limit=self._downloads.limits.bytes_limit,
        )
        if path is None:
            raise not_found(NO_ROWS)
        name = f"{choice.dataset.dataset_id}{form.ends_with}"
        return Download(bytes_of(path), held=stack.pop_all(), media_type=form.media_type, file_name=name)

    def _form(self, choice: TableChoice, suffix: str) -> TextForm:
        if suffix == HTML:
            notes = [choice.dataset.summary, self._publisher.citation_of(choice.dataset), self._publisher.licence]
            return HtmlForm(choice.variables, title=choice.dataset.title, notes=notes)
        return STREAMED[suffix].make(choice.variables)


def _folder(stack: AsyncExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reefmesh-download-", ignore_cleanup_errors=True)))


def _media_type(suffix: str) -> str:
    if suffix == HTML:
        return "text/html"
    return FILES[suffix].media_type if suffix in FILES else STREAMED[suffix].media_type
