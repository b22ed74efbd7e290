"""Every action that the source records is in docs/audit.md, and no other."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.test_architecture import ROOT, Function, sources

DOCUMENT = ROOT / "docs" / "audit.md"
ACTION = re.compile(r"[a-z_]+\.[a-z0-9_]+")
RECORD = "record_event"


@dataclass(frozen=True)
class Call:
    """A call, with the functions that it stands in (the innermost last) and its module."""

    node: ast.Call
    inside: tuple[Function, ...]
    module: ast.Module

    @property
    def name(self) -> str:
        target = self.node.func
        return target.id if isinstance(target, ast.Name) else getattr(target, "attr", "")

    @property
    def is_of_another_module(self) -> bool:
        """Whether what is called comes from an import: `tell(...)` or `notices.tell(...)`."""
        first = ast.unparse(self.node.func).partition(".")[0]
        imports = [node for node in self.module.body if isinstance(node, ast.ImportFrom)]
        return first in {each.asname or each.name for node in imports for each in node.names}

    def argument(self, position: int, name: str) -> ast.expr | None:
        for keyword in self.node.keywords:
            if keyword.arg == name:
                return keyword.value
        given = self.node.args
        return given[position] if 0 <= position < len(given) else None


def calls_in(
    node: ast.AST, module: ast.Module, inside: tuple[Function, ...] = ()
) -> Iterator[Call]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield Call(child, inside, module)
        deeper = (*inside, child) if isinstance(child, Function) else inside
        yield from calls_in(child, module, deeper)


MODULES = [ast.parse(path.read_text()) for path in sources() if path.parts[-2] != "benchmarks"]
CALLS = [call for module in MODULES for call in calls_in(module, module)]
# Names that modules give to texts, such as CHECKED = "tenants.checked".
NAMED = {
    ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target): node.value
    for module in MODULES
    for node in module.body
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
}


def parameters(function: Function) -> list[str]:
    names = [each.arg for each in [*function.args.posonlyargs, *function.args.args]]
    return names[1:] if names[:1] == ["self"] else names


def classes(module: ast.Module) -> list[ast.ClassDef]:
    return [node for node in module.body if isinstance(node, ast.ClassDef)]


def fields(made: ast.ClassDef) -> list[str]:
    return [ast.unparse(node.target) for node in made.body if isinstance(node, ast.AnnAssign)]


Seen = frozenset[str]


def texts(value: ast.expr, call: Call, seen: Seen = frozenset()) -> set[str]:
    """Return the texts that an expression may stand for. Fails where that cannot be told."""
    match value:
        case ast.Constant():
            return {value.value}
        case ast.IfExp():
            return texts(value.body, call, seen) | texts(value.orelse, call, seen)
        case ast.Subscript(value=ast.Name(id=name)):  # one of a table
            return set().union(*(texts(each, call, seen) for each in NAMED[name].values))
        case ast.Attribute():
            return texts_of_attribute(value.attr, call, seen)
    assert isinstance(value, ast.Name), ast.unparse(value)
    return texts_of_name(value.id, call, seen)


def texts_of_attribute(name: str, call: Call, seen: Seen) -> set[str]:
    """Return what another module's name stands for, or what a class is made with for a field."""
    if name in NAMED:
        return texts(NAMED[name], call, seen)
    made = next((each for each in classes(call.module) if name in fields(each)), None)
    assert made is not None, ast.unparse(call.node)
    return passed_to(made.name, fields(made), name, call.module, seen)


def texts_of_name(name: str, call: Call, seen: Seen) -> set[str]:
    """Return what a variable, a parameter or a name of the module stands for."""
    for function in reversed(call.inside):
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                return texts(node.value, call, seen)
        keywords = [each.arg for each in function.args.kwonlyargs]
        if name in [*parameters(function), *keywords]:
            return passed_to(function.name, parameters(function), name, call.module, seen)
    return texts(NAMED[name], call, seen)


def passed_to(callee: str, known: list[str], name: str, module: ast.Module, seen: Seen) -> set[str]:
    """Return what is passed to a function or class for one of its parameters, wherever it is."""
    label = f"{callee}({name})"
    if label in seen:
        return set()
    found: set[str] = set()
    position = known.index(name) if name in known else -1
    for call in CALLS:
        is_it = call.name == callee and (call.module is module or call.is_of_another_module)
        value = call.argument(position, name) if is_it else None
        if value is not None:
            found |= texts(value, call, seen | {label})
    assert found, label
    return found


def recorded() -> set[str]:
    found: set[str] = set()
    for call in CALLS:
        if call.name == RECORD:
            value = call.argument(1, "action")
            assert value is not None, ast.unparse(call.node)
            found |= texts(value, call)
    return found


def documented() -> set[str]:
    table = DOCUMENT.read_text().split("\n## Actions\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE))


def test_every_action_has_a_subject_and_what_was_done_to_it():
    assert [action for action in recorded() if not ACTION.fullmatch(action)] == []


def test_every_recorded_action_is_documented_and_no_other():
    assert documented() == recorded()


def test_the_source_is_read_right():
    assert {"organization.created", "organization.suspended", "cluster.added", "session.opened",
            "tenants.checked", "plan.added", "plan.changed"} <= recorded()  # fmt: skip
