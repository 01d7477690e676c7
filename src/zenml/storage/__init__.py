"""Keeping records: one set of rules (`Collection`), several backends."""

from zenml.storage.collection import Backend, Collection, Session

__all__ = ["Backend", "Collection", "Session"]
