"""What comes with the program, listed: each as data, and as lines to be read."""

from typing import Any

import msgspec

from letterbox.configuration import shipped
from letterbox.feedback.disclosure import CLASSES, class_title
from letterbox.model.reason import read_registry
from letterbox.wishes import read_taxonomy


def reasons() -> tuple[dict[str, Any], list[str]]:
    """Every reason a message can be refused or held for, and what stands in its place."""
    registry = read_registry(shipped("reasons.toml"))
    lines = [
        f"{reason.code:26} {reason.reply} {reason.enhanced:6} {reason.reason_class:8} "
        f"{'final  ' if reason.final else '       '}{reason.texts['en'].title}"
        for reason in registry.values()
    ]
    classes = {name: class_title(name, "en") for name in CLASSES}
    lines += ["", "in place of a code, at level class:"]
    lines += [f"{name:48} {title}" for name, title in classes.items()]
    return {"reasons": msgspec.to_builtins(list(registry.values())), "classes": classes}, lines


def taxonomy() -> tuple[dict[str, Any], list[str]]:
    """The categories that interests and offers speak in."""
    nodes = list(read_taxonomy(shipped("taxonomy.toml")).nodes.values())
    lines = [
        f"{node.id:44} {node.en} / {node.nl}{' (sensitive)' if node.sensitive else ''}"
        for node in nodes
    ]
    return {"nodes": msgspec.to_builtins(nodes)}, lines
