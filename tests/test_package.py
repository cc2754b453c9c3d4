"The package stands alone: what the wheel holds and asks for, that it works away from the notebooks, and what importing it costs."
import re
import shutil
import subprocess
import sys
import tarfile
from email import message_from_bytes
from pathlib import Path
from statistics import median
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
MODULES = {p.relative_to(ROOT).as_posix() for p in (ROOT / "clusterlab").rglob("*.py")}
TOOLS = [f"clusterlab.{name}" for name in ("kmeans", "mean_shift", "dbscan", "neighbors", "lsh") if f"clusterlab/{name}.py" in MODULES]


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    "The folder with a source archive, and the wheel that was built from it."
    source = tmp_path_factory.mktemp("source")
    for name in "settings.ini", "setup.py", "README.md", "LICENSE": shutil.copy(ROOT / name, source)
    for name in "clusterlab", "nbs", "tests": shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    done = subprocess.run([sys.executable, "-m", "build", "--no-isolation", source], capture_output=True, text=True, cwd=source)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return source / "dist"


@pytest.fixture(scope="module")
def wheel(dist):
    return ZipFile(next(dist.glob("*.whl")))


@pytest.fixture(scope="module")
def run(wheel, tmp_path_factory):
    "Run a Python script where the unpacked wheel is, and the project is not; returns what it prints."
    away = tmp_path_factory.mktemp("away")
    wheel.extractall(away)
    def run(script):
        script = f"import sys; sys.path.insert(0, {str(away)!r}); import importlib, time, torch\n{script}"
        done = subprocess.run([sys.executable, "-I", "-c", script], cwd=away, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()
    return run


@pytest.fixture(scope="module")
def metadata(wheel):
    return message_from_bytes(wheel.read(next(n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))))


def test_the_wheel_holds_every_module_and_nothing_else(wheel):
    assert {n for n in wheel.namelist() if ".dist-info/" not in n} == MODULES | {"clusterlab/py.typed"}
    assert all(wheel.read(m) == (ROOT / m).read_bytes() for m in MODULES)


def test_the_wheel_carries_the_licence(wheel, metadata):
    assert metadata["License-Expression"] == "Apache-2.0" or metadata["License"] == "Apache-2.0"
    assert any(n.endswith("/LICENSE") for n in wheel.namelist())


def test_it_asks_for_torch_numpy_matplotlib_and_tqdm_alone(metadata):
    plain = [r for r in metadata.get_all("Requires-Dist") if "extra ==" not in r]
    assert {re.match(r"[\w-]+", r)[0] for r in plain} == {"torch", "numpy", "matplotlib", "tqdm"}
    assert set(metadata.get_all("Provides-Extra")) == {"sklearn", "lab", "dev", "bench"}
    assert metadata["Requires-Python"] == ">=3.11"


def test_the_source_archive_holds_its_settings_and_builds(dist):
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive: names = {n.partition("/")[2] for n in archive.getnames()}
    assert {"settings.ini", "setup.py", "README.md", "LICENSE", *MODULES} <= names


def test_it_works_away_from_the_project(run, metadata):
    names = sorted(m[:-3].replace("/", ".").removesuffix(".__init__") for m in MODULES)
    centroid, version, place = run(
        f"for name in {names!r}: importlib.import_module(name)\n"
        "import clusterlab.kmeans\n"
        "centroids, labels = clusterlab.kmeans.k_means_cluster(1, torch.tensor([[1., 0.], [3., 0.]]))\n"
        "print(centroids[0, 0].item(), clusterlab.__version__, clusterlab.__file__)")
    assert centroid == "2.0" and version == metadata["Version"] and str(ROOT) not in place


def test_importing_the_tools_costs_less_than_50_ms_beyond_torch(run):
    script = (f"start = time.process_time()\nfor name in {['clusterlab', *TOOLS]!r}: importlib.import_module(name)\n"
              "print(time.process_time() - start, 'matplotlib' in sys.modules)")
    runs = [run(script) for _ in range(3)]
    assert median(float(seconds) for seconds, _ in runs) < 0.05
    assert all(loaded == "False" for _, loaded in runs)
