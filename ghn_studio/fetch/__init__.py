"""Files from the internet: resumable, checked, whole or not at all. Standard library only."""

from ghn_studio.fetch.checks import Expected, digests
from ghn_studio.fetch.connection import is_acceptable
from ghn_studio.fetch.downloading import download

__all__ = ["Expected", "digests", "download", "is_acceptable"]
