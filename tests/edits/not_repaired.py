"""Conditions outside of which a model is not repaired, by the name of their case: what the file does not tell.

The rule's page says the same to a person.
"""

from __future__ import annotations

NOT_REPAIRED: dict[str, str] = {}
