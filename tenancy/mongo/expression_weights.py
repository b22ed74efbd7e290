"""How large what an expression makes can be, judged before it runs."""

from typing import Any

from tenancy.mongo.expression_operators import SCALAR

_SMALL = ("$$NOW", "$$REMOVE")


def weight_of(expression: Any) -> int:
    """Return how many copies of what the document holds a compiled expression may put together.

    Copies cost MongoDB nothing, until something looks at them: twenty stages that each write
    a field ten times into itself would make 10^20 of it.
    """
    if isinstance(expression, str):
        return int(expression.startswith("$") and expression not in _SMALL)
    if isinstance(expression, list):
        return sum(weight_of(each) for each in expression)
    return _weight_of_object(expression) if isinstance(expression, dict) else 0


def _weight_of_object(expression: dict[str, Any]) -> int:
    name, inner = next(iter(expression.items()), ("", None))
    if name in SCALAR or name == "$literal":
        return 0
    if isinstance(inner, dict) and name == "$let":
        return _weight_of_let(inner)
    if isinstance(inner, dict) and name == "$map":
        return weight_of(inner["input"]) * max(1, weight_of(inner["in"]))
    return sum(weight_of(each) for each in expression.values())


def _weight_of_let(arguments: dict[str, Any]) -> int:
    bound = [weight_of(each) for each in arguments["vars"].values()]
    return weight_of(arguments["in"]) * max([1, *bound])


def _looks_at_whole(expression: Any) -> bool:
    """Return whether a compiled expression takes the document whole."""
    if isinstance(expression, str):
        return expression in ("$$ROOT", "$$CURRENT")
    if isinstance(expression, dict):
        return any(_looks_at_whole(each) for each in expression.values())
    return isinstance(expression, list) and any(_looks_at_whole(each) for each in expression)


def weight_of_stage(compiled: Any) -> int:
    """Return by how much a compiled stage can multiply the largest field."""
    made = list(compiled.values()) if isinstance(compiled, dict) else [compiled]
    weights = [weight_of(each) for each in made]
    if any(_looks_at_whole(each) for each in made):
        return sum(weights) + 1
    return max([1, *weights])
