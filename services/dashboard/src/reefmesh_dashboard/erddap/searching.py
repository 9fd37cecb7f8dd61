"""Which datasets a search finds: ``searchFor``, and conditions on their metadata."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Final

from reefmesh_dashboard.api.parameters import shown
from reefmesh_dashboard.erddap.failure import listed, not_found, wrong_query
from reefmesh_dashboard.exports.dataset import Dataset
from reefmesh_dashboard.exports.publisher import DataPublisher

ANY: Final = ("", "(ANY)")
PAGING: Final = ("page", "itemsPerPage")
PLACE_AND_TIME: Final = ("minLon", "maxLon", "minLat", "maxLat", "minTime", "maxTime")
"""All datasets reach over all reefs and times, so these leave none out."""
METADATA: Final = ("protocol", "cdm_data_type", "institution", "ioos_category", "keywords", "long_name", "standard_name")
PARAMETERS: Final = ("searchFor", *PAGING, *METADATA, "variableName", *PLACE_AND_TIME)
SEARCH_LENGTH: Final = 500


def found_datasets(
    datasets: Sequence[Dataset], publisher: DataPublisher, parameters: Mapping[str, Sequence[str]]
) -> Sequence[Dataset]:
    """Return the datasets that a search finds, of the page that it asks for.

    Raises:
        ErddapFailure: a parameter is wrong, or nothing was found.
    """
    for name in parameters:
        if name not in PARAMETERS:
            raise wrong_query(shown(name), "there is no such parameter", listed(PARAMETERS))
    one = {name: values[-1].strip() for name, values in parameters.items()}
    words = _words(one.get("searchFor", ""))
    found = [each for each in datasets if _has_words(each, publisher, words) and _has_metadata(each, publisher, one)]
    page, size = (_whole(one, name) for name in PAGING)
    first = 0 if page is None or size is None else (page - 1) * size
    shown_datasets = found[first:] if size is None else found[first : first + size]
    if not shown_datasets:
        raise not_found("Your query produced no matching results. Check the spelling of the word(s) you searched for.")
    return shown_datasets


def _whole(parameters: Mapping[str, str], name: str) -> int | None:
    text = parameters.get(name, "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
        raise wrong_query(f"{name}={shown(text)}", "no such number", "a whole number from 1 on")
    return int(text)


def _words(text: str) -> Sequence[str]:
    """Return the words and quoted phrases of a search."""
    if len(text) > SEARCH_LENGTH:
        raise wrong_query("searchFor", f"it has {len(text)} characters", f"at most {SEARCH_LENGTH}")
    try:
        return [] if text in ANY else shlex.split(text.lower().replace("'", " ").replace("\\", " "))
    except ValueError:
        raise wrong_query(
            f"searchFor={shown(text)}", "a quote is not closed", 'words, and phrases in "double quotes"'
        ) from None


def _has_words(dataset: Dataset, publisher: DataPublisher, words: Sequence[str]) -> bool:
    """A word that begins with a dash must not be there."""
    names = [f"{variable.name} {variable.attributes.get('long_name', '')}" for variable in dataset.variables]
    text = " ".join(
        [f"datasetid={dataset.dataset_id}", dataset.title, dataset.summary, dataset.keywords, publisher.institution, *names]
    )
    text = text.lower()
    return all(word[1:] not in text if word.startswith("-") and len(word) > 1 else word in text for word in words)


def _has_metadata(dataset: Dataset, publisher: DataPublisher, parameters: Mapping[str, str]) -> bool:
    def of_variables(name: str) -> set[str]:
        return {str(variable.attributes.get(name, "")).lower() for variable in dataset.variables}

    known: dict[str, set[str]] = {
        "protocol": {"tabledap"},
        "cdm_data_type": {"timeseries"},
        "institution": {publisher.institution.lower(), publisher.institution.lower().replace(" ", "_")},
        "ioos_category": of_variables("ioos_category") | {each.replace(" ", "_") for each in of_variables("ioos_category")},
        "keywords": {word.strip().lower() for word in dataset.keywords.split(",")},
        "long_name": of_variables("long_name") | {each.replace(" ", "_") for each in of_variables("long_name")},
        "standard_name": of_variables("standard_name"),
        "variableName": {name.lower() for name in dataset.by_name},
    }
    return all(parameters.get(name, "").lower() in {*map(str.lower, ANY), *values} for name, values in known.items())
