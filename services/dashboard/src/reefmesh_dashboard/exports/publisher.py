"""Who publishes the data, and what others may do with them: it travels in every file."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reefmesh_dashboard.exports.dataset import Dataset
from reefmesh_dashboard.exports.variable import Attribute

CONVENTIONS: Final = "CF-1.8, ACDD-1.3"
VOCABULARY: Final = "CF Standard Name Table v93"
NO_LICENCE: Final = "No licence is stated. Ask the institution before you use or pass on these data."
NO_INSTITUTION: Final = "an operator of reefmesh"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPublisher:
    """What the operator's settings say of the data; an empty text is not stated."""

    institution: str = NO_INSTITUTION
    licence: str = NO_LICENCE
    citation: str = ""
    contact_name: str = ""
    contact_email: str = ""
    url: str = ""

    def citation_of(self, dataset: Dataset) -> str:
        return self.citation or f"{self.institution}: {dataset.title}."


def global_attributes(dataset: Dataset, publisher: DataPublisher, *, made_at: datetime) -> Mapping[str, Attribute]:
    """Return the attributes of a dataset after ACDD 1.3; what is not stated is left out."""
    day = made_at.isoformat(timespec="seconds").replace("+00:00", "Z")
    contact = publisher.contact_name or publisher.institution
    stated = {
        "title": dataset.title,
        "summary": dataset.summary,
        "keywords": dataset.keywords,
        "Conventions": CONVENTIONS,
        "id": dataset.dataset_id,
        "cdm_data_type": "TimeSeries",
        "cdm_timeseries_variables": ", ".join([*dataset.station, "latitude", "longitude"]),
        "institution": publisher.institution,
        "license": publisher.licence,
        "citation": publisher.citation_of(dataset),
        "creator_name": contact,
        "creator_email": publisher.contact_email,
        "creator_url": publisher.url,
        "creator_institution": publisher.institution,
        "creator_type": "institution",
        "publisher_name": contact,
        "publisher_email": publisher.contact_email,
        "publisher_url": publisher.url,
        "publisher_institution": publisher.institution,
        "publisher_type": "institution",
        "infoUrl": publisher.url,
        "sourceUrl": publisher.url,
        "standard_name_vocabulary": VOCABULARY,
        "source": "buoys at coral reefs, by reefmesh",
        "processing_level": "quality flags by QARTOD; corrected by the factors of the register",
        "history": f"{day} made from the read model of reefmesh",
        "date_created": day,
        "comment": "What is missing is unknown. A value with a flag other than 1 or 2 is not relied on.",
        "platform": "buoy",
    }
    return {name: value for name, value in stated.items() if value}
