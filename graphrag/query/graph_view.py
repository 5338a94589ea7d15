"""The graph view, under the name that it had here before retrievers needed it too."""

from graphrag.retrieve.graph_view import GraphView, NameMatch, Neighbours, Places, lookup, words_of

__all__ = ["GraphView", "NameMatch", "Neighbours", "Places", "lookup", "words_of"]
