"""Domains and their regions, which can be sampled; one kind of domain per file."""

from kanpde.domains.domain import Domain
from kanpde.domains.region import Points, Region

__all__ = ["Domain", "Points", "Region"]
