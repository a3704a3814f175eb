"""Everything that the API's handlers use, in one value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.engines.base import Engine

from .book import Book
from .catalog import Catalog
from .gateways import Gateways
from .groups import Groups
from .links import Links
from .policy import Policy
from .programs import Folders
from .users import Users
from .verbs import Verbs


@dataclass(frozen=True, slots=True)
class Center:
    """The parts of one OpCenter. `url` is known once it listens; `opened` is ms since the epoch."""

    users: Users
    book: Book
    verbs: Verbs
    gateways: Gateways
    links: Links
    groups: Groups
    engine: Engine
    folders: Folders
    policy: Policy
    templates: Catalog
    url: Callable[[], str]
    opened: int
