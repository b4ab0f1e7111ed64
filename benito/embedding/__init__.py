"""Where each node goes: which nodes share a pnode, on how many pnodes of which type, and why.

`place` puts whole machines, hand-made partitions and packing passes together; `pack` does one pass with `engine`, the
search in C below `native/`; `needs`, `offers` and `rules` say what nodes take, what pnodes have and who must be where;
`report` says what a placement uses and costs, `former` what moves when nodes are placed anew. Imports the core only.
"""

from benito.embedding.former import Former
from benito.embedding.model import Embedding, Partition
from benito.embedding.place import ENDLESS, embed

__all__ = ["ENDLESS", "Embedding", "Former", "Partition", "embed"]
