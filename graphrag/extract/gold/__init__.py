"""Texts whose entities and relations people (or a strong model) have written down."""

from graphrag.extract.gold.corpus import GoldCorpus, GoldEntity, GoldText
from graphrag.extract.gold.read import FORMATS, read_gold

__all__ = ["FORMATS", "GoldCorpus", "GoldEntity", "GoldText", "read_gold"]
