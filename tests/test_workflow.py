"Workflow files are parsed and held to GitHub's schema, their actions pinned to commits, their rights the least."
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.y*ml"))


def schema_check(path):
    return subprocess.run([sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", path], capture_output=True, text=True)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_workflow_is_valid(path):
    result = schema_check(path)
    assert result.returncode == 0, result.stdout


def test_the_check_refuses_a_broken_workflow(tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text(WORKFLOWS[0].read_text(encoding="utf-8").replace("runs-on:", "run-on:"), encoding="utf-8")
    assert schema_check(broken).returncode != 0


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_actions_are_pinned_and_rights_are_least(path):
    text = path.read_text(encoding="utf-8")
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", use.strip()) for use in re.findall(r"uses:(.*)", text))
    assert "permissions:\n  contents: read\n" in text and "write" not in text


def test_both_kinds_of_device_run_the_readmes_command():
    text = (ROOT / ".github/workflows/test.yaml").read_text(encoding="utf-8")
    assert len(re.findall(r"run: make test(?!-)\b", text)) == 2 and "run: make test-browser" in text and "CLUSTERLAB_DEVICE: cpu" in text and "CLUSTERLAB_DEVICE: cuda" in text
    assert "make test" in (ROOT / ".ci/run").read_text(encoding="utf-8")
