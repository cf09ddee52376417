"""Reading the tree of categories from its file (``config/taxonomy.toml``)."""

import msgspec

from letterbox.model.taxonomy import Node, Taxonomy, upwards


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    nodes: tuple[Node, ...]


def read_taxonomy(content: bytes) -> Taxonomy:
    """Read the file. Raises ValueError with the mistake: a bad id, one twice, no node above."""
    nodes: dict[str, Node] = {}
    below: dict[str, set[str]] = {}
    for node in msgspec.toml.decode(content, type=_File).nodes:
        if node.id in nodes:
            raise ValueError(f"the category {node.id} stands there twice")
        parent = node.id.rpartition("/")[0]
        if parent and parent not in nodes:
            raise ValueError(f"the category {node.id} needs {parent} before it")
        nodes[node.id] = node
        for path in upwards(node.id):
            below.setdefault(path, set()).add(node.id)
    return Taxonomy(nodes=nodes, below={path: frozenset(ids) for path, ids in below.items()})
