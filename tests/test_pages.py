"The README and the lessons are true of the repository: links lead somewhere, the map names every lesson, the picture is the stored one."
import base64
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "INSTRUCTOR", "STUDENT")), *sorted((ROOT / "nbs").rglob("*.ipynb"))]
PAGES = [p for p in PAGES if ".ipynb_checkpoints" not in p.parts]
LESSONS = sorted((ROOT / "nbs").glob("[0-9]*.ipynb"))


def cells(path, kind): return [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == kind]


def prose(path):
    if path.suffix == ".md": return path.read_text(encoding="utf-8")
    return "\n\n".join("".join(c["source"]) for c in cells(path, "markdown"))


def modules(path): return re.findall(r"#\| default_exp (\S+)", "\n".join("".join(c["source"]) for c in cells(path, "code")))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_between_pages_lead_somewhere(page):
    targets = [t.split("#")[0] for t in re.findall(r"\]\(([^)\s]+)\)", prose(page)) if "://" not in t]
    missing = [t for t in targets if t and not (page.parent / t).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES[4:], ids=lambda p: p.name)
def test_a_notebook_says_how_many_code_cells_it_has(page):
    assert json.loads(page.read_text(encoding="utf-8"))["metadata"]["code_cells"] == len(cells(page, "code"))


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda p: p.stem)
def test_a_lesson_is_whole_and_leads_to_the_next(lesson):
    text = prose(lesson)
    assert re.match(r"# .+\n\n> .+", text), "title and a one-line summary"
    for part in ("**You will be able to**", "**Takes**", "**You need**", "## What you now know", "## Exercises", "## Read", "**Next**"): assert part in text, part
    following = [*LESSONS, ROOT / "nbs/index.ipynb"][LESSONS.index(lesson) + 1].name
    assert following in text.split("**Next**")[-1]


def test_the_maps_name_every_lesson_and_what_it_exports():
    readme, index = prose(ROOT / "README.md"), prose(ROOT / "nbs/index.ipynb")
    for lesson in LESSONS:
        assert f"(nbs/{lesson.name})" in readme and f"({lesson.name})" in index
        row = next(line for line in readme.splitlines() if f"(nbs/{lesson.name})" in line)
        assert row.split("|")[3].strip().strip("`") == "".join(modules(lesson))


def test_the_picture_in_the_readme_is_the_stored_output_of_the_index():
    stored = [o["data"]["image/png"] for c in cells(ROOT / "nbs/index.ipynb", "code") for o in c["outputs"] if "image/png" in o.get("data", {})]
    assert base64.b64decode("".join(stored[0])) == (ROOT / ".github/clusters.png").read_bytes()


def test_the_readmes_commands_exist():
    makefile, readme = ((ROOT / name).read_text(encoding="utf-8") for name in ("Makefile", "README.md"))
    commands = set(re.findall(r"make ([a-z]+)", readme))
    assert {"lab", "test", "lessons"} <= commands and all(re.search(rf"^{c}:", makefile, re.M) for c in commands)


def test_versions_agree():
    version = re.search(r"^version = (.+)$", (ROOT / "settings.ini").read_text(encoding="utf-8"), re.M)[1]
    import clusterlab
    assert clusterlab.__version__ == version
    assert f"version: {version}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8") and f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
