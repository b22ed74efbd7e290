"""The README names every route, command, setting and error code, and nothing that is not there."""

import re
from pathlib import Path

from config.errors import catalogue
from tests.test_architecture import ROOT, sources
from tests.test_isolation import routes

README = (ROOT / "README.md").read_text()
# Django's own, and what tests set: not for operators to choose.
NOT_CONFIGURABLE = {"TENANCY_CLAIM_RESOLVER"}


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def commands() -> set[str]:
    folders = [ROOT / app / "management" / "commands" for app in ("tenancy", "accounts")]
    return {path.stem for folder in folders for path in folder.glob("[a-z]*.py")}


def documented(title: str) -> set[str]:
    """Return what the first column of a section's table names."""
    rows = re.findall(r"^\| ([^|]+) \|", section(title), re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_every_route_is_in_the_readme_and_no_other():
    paths = {route.template for route in routes()}
    named = set(re.findall(r"`(/[^`]*)`", section("Routes")))

    assert paths <= named
    assert {path for path in named if "{" in path} <= paths


def test_every_command_is_in_the_readme_and_no_other():
    assert documented("Commands") == commands()


def test_every_setting_is_in_the_readme_and_no_other():
    files = ("settings.py", "environment.py")
    text = "".join((ROOT / "config" / name).read_text() for name in files)
    read = set(re.findall(r'env\.\w+\(\s*"(\w+)"', text))

    assert documented("Settings") == read - NOT_CONFIGURABLE


def test_every_error_code_is_in_the_readme_and_no_other():
    found = set()
    for path in sources():
        text = path.read_text()
        if "exceptions" in {path.stem, path.parent.name}:
            found |= set(re.findall(r'^    code = "(\w+)"', text, re.MULTILINE))
        if path.name == "problems.py":
            found |= set(re.findall(r'\d{3}, "(\w+)"', re.sub(r"\(\s+", "(", text)))

    assert documented("Error codes") == found


def test_statuses_in_the_readme_are_those_that_are_answered():
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \|", section("Error codes"), re.MULTILINE)
    answered = {entry["code"]: entry["status"] for entry in catalogue()}

    assert {code: int(status) for code, status in rows} == answered


def test_every_make_target_explains_itself():
    makefile = (ROOT / "Makefile").read_text()

    for target in ["install", "run", "demo", "test", "check", "bench", "drill", "fuzz", "help"]:
        assert re.search(rf"^{target}:.*## .+", makefile, re.MULTILINE), target


def test_nothing_names_the_machine_it_was_written_on():
    texts = [path.read_text() for path in [*sources(), ROOT / "README.md", ROOT / "CHANGELOG.md"]]

    assert not [text for text in texts if re.search(r"/(?:work|root|home)/\w", text)]


def test_tour_is_one_runnable_script():
    assert tour(Path("README.md")).count("curl ") >= 8


def tour(readme: Path, name: str = "tour") -> str:
    """Return the shell script of one of the README's tours."""
    text = (ROOT / readme).read_text()
    marked = re.search(rf"<!-- {name} -->\n```bash\n(.*?)```\n<!-- /{name} -->", text, re.DOTALL)
    assert marked is not None
    return marked[1]


def test_every_test_that_the_docs_name_is_there():
    text = (ROOT / "docs" / "identity.md").read_text()
    rows = re.findall(r"^\|[^|]+\| (`.+`) \|$", text.rpartition("## Claims")[2], re.MULTILINE)
    found = []
    for row in rows:
        folder = Path()
        for name in re.findall(r"`([^`]+\.py)`", row):
            folder = Path(name).parent if "/" in name else folder
            found.append(ROOT / folder / Path(name).name)

    assert len(found) >= 14
    assert [path for path in found if not path.is_file()] == []
