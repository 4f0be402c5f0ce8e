"""Where a model directory comes from that is not on this machine: the Hub, or an archive at a URL.

What was fetched once is kept, and found again without a connection.
"""

from lmscore.hub.archives import fetch_archive, kept_archive, kept_archives
from lmscore.hub.certificate import check_files
from lmscore.hub.references import HubModel, Reference, UrlModel, parse_reference
from lmscore.hub.repositories import fetch_snapshot, kept_snapshot, kept_snapshots, upload
from lmscore.hub.stored import Stored, fetch, kept, located

__all__ = [
    "HubModel",
    "Reference",
    "Stored",
    "UrlModel",
    "check_files",
    "fetch",
    "fetch_archive",
    "fetch_snapshot",
    "kept",
    "kept_archive",
    "kept_archives",
    "kept_snapshot",
    "kept_snapshots",
    "located",
    "parse_reference",
    "upload",
]
