"""Domains and their regions, which can be sampled; one kind of domain per file."""

from kanpde.domains.domain import Domain, domain_from, kinds
from kanpde.domains.region import Points, Region

__all__ = ["Domain", "Points", "Region", "domain_from", "kinds"]
