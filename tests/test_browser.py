"""The widgets, the films, the exercises and the predictions in a real browser: JupyterLab live, JupyterLab before anything was run, and an HTML export.

Screenshots go to the folder that CLUSTERLAB_ARTIFACTS names (default: pytest's temporary one).
"""
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if not CHROMIUM: pytest.skip("no chromium on this machine", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
pytest.importorskip("jupyterlab", reason="JupyterLab is not installed")
pytest.importorskip("ipywidgets", reason="ipywidgets is not installed")

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[1]
SET_UP = """
import torch
from matplotlib.animation import FuncAnimation
import matplotlib.pyplot as plt
from clusterlab.data import lesson_data
from clusterlab.plots import animation_html
from clusterlab.widgets import BandwidthExplorer, KMeansStepper

_, data = lesson_data()
"""
FILM = """
fig, ax = plt.subplots(figsize=(3, 3), dpi=60)
line, = ax.plot([0, 1], [0, 1])
animation_html(FuncAnimation(fig, lambda i: line.set_ydata([0, i]), frames=4), alt="A line that sinks.")
"""
CELLS = [SET_UP, "KMeansStepper(data, k=6)", "BandwidthExplorer(data)", FILM]
TASK = """
import math
import torch
from clusterlab import check
from clusterlab.predict import predict, prediction

@check.exercise("02_einsum", "complete")
def browser_distance(x, X):
    "The distances (n,) of one point x (d,) to all points X (n, d)."
    return [math.dist(x, row) for row in X.tolist()]

@browser_distance.inputs
def _(g):
    for n in 1, 2, 5: yield torch.randn(2, generator=g), torch.randn(n, 2, generator=g)

@browser_distance.wrong("root forgotten", "The sum of squares is the squared distance.")
def _(x, X): return [math.dist(x, row) ** 2 for row in X.tolist()]

prediction("01_mean_shift", "browser_row", "x has shape (2,), X has shape (1500, 2). What is x - X?",
           {"an error, the sizes differ": "Sizes are lined up from the right.", "shape (1500, 2)": "The missing size counts as 1.", "shape (2, 1500)": "Nothing is transposed."}, "shape (1500, 2)")
prediction("08_kmeans_v3", "browser_phantom", "Five points, all at 10, are averaged into a zero. The mean?", {10.0: "That is what the name promises.", 50 / 6: "The zero is counted."}, 50 / 6, other="Count.")
"""
ANSWER = """
def browser_distance(x, X):
    raise NotImplementedError("browser_distance: the square root of a sum of squares")
"""
TASKS = [TASK, ANSWER, "check.browser_distance(browser_distance)", 'predict("browser_row")', 'predict("browser_phantom")', "check.progress()"]
RUN_ALL = """async () => {
    const widget = window.jupyterapp.shell.currentWidget;
    await widget.context.sessionContext.ready;
    await widget.context.sessionContext.session.kernel.info;
    await window.jupyterapp.commands.execute('notebook:run-all-cells');
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    "A folder with live.ipynb, not run, and stored.ipynb, run and stored as the course stores its notebooks: without live views."
    from nbclient import NotebookClient
    folder = tmp_path_factory.mktemp("lab")
    nb = write(CELLS, folder / "live.ipynb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        NotebookClient(nb, timeout=120, kernel_name="python3", store_widget_state=False).execute()
    for output in (o for c in nb.cells for o in c.outputs):
        output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    nbformat.write(nb, folder / "stored.ipynb")
    write(TASKS, folder / "tasks.ipynb")
    return folder


def write(cells, path):
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c.strip()) for c in cells], metadata={"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}})
    nbformat.write(nb, path)
    return nb


@pytest.fixture(scope="module")
def shots(tmp_path_factory):
    shots = Path(os.environ.get("CLUSTERLAB_ARTIFACTS") or tmp_path_factory.mktemp("shots"))
    shots.mkdir(parents=True, exist_ok=True)
    return shots


@pytest.fixture(scope="module")
def lab(folder, tmp_path_factory):
    "Address of a JupyterLab on a free port, with settings of its own."
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    own = tmp_path_factory.mktemp("settings")
    news = own / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text('{"fetchNews": "false"}')
    env = {k: v for k, v in os.environ.items() if k not in ("IN_TEST", "CLUSTERLAB_PROGRESS")}
    env |= {"PYTHONPATH": str(ROOT), "JUPYTER_CONFIG_DIR": str(own), "JUPYTER_DATA_DIR": str(own), "JUPYTER_RUNTIME_DIR": str(own), "IPYTHONDIR": str(own), "JUPYTERLAB_SETTINGS_DIR": str(own), "JUPYTERLAB_WORKSPACES_DIR": str(own)}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}", "--IdentityProvider.token=",
               "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    with open(own / "log", "w") as log: server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
    try:
        while True:
            try:
                urlopen(f"{address}/api/status", timeout=5).close()
                break
            except (URLError, OSError):
                if server.poll() is not None or time.monotonic() > deadline: pytest.fail(f"JupyterLab did not start:\n{(own / 'log').read_text()[-2000:]}")
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport=dict(width=1250, height=1100))
    page.set_default_timeout(60_000)
    yield page
    page.close()


def all_run(lab, browser, name):
    "A page with a notebook in JupyterLab, every cell of it started."
    page = browser.new_page(viewport=dict(width=1250, height=1700))
    page.set_default_timeout(60_000)
    page.goto(f"{lab}/lab/tree/{name}.ipynb?reset")
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
    page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")
    page.evaluate(RUN_ALL)
    return page


@pytest.fixture(scope="module")
def live(lab, browser):
    "live.ipynb in JupyterLab with every cell run."
    page = all_run(lab, browser, "live")
    page.locator(".widget-html img").nth(1).wait_for()
    page.locator(".animation img").wait_for()
    yield page
    page.close()


def changes(page, image, act):
    "The picture becomes another one when `act` is done."
    before = image.get_attribute("src")
    act()
    sync_api.expect(image).not_to_have_attribute("src", before, timeout=30_000)
    assert image.evaluate("i => i.decode().then(() => i.naturalWidth)") > 0


def shoot(locator, path):
    locator.scroll_into_view_if_needed()
    locator.screenshot(path=path)


def press(page, cell, slider, key):
    cell.locator(".widget-hslider", has_text=slider).locator(".noUi-handle").focus()
    page.keyboard.press(key)


def says(cell, words):
    sync_api.expect(cell.locator("[role=status]")).to_contain_text(words, timeout=60_000)


def no_errors(page):
    for kind in ("stderr", "error"): assert page.locator(f'[data-mime-type="application/vnd.jupyter.{kind}"]').all_inner_texts() == []


def test_stepper_answers_to_the_keyboard(live, shots):
    cell = live.locator(".jp-Notebook .jp-CodeCell").nth(1)
    image = cell.locator(".widget-html img")
    assert "k = 6" in image.get_attribute("alt")
    says(cell, "start: 6 points")
    shoot(cell, shots / "stepper-start.png")
    for n, step in enumerate(("assign 1", "update 1", "assign 2")):
        changes(live, image, lambda: press(live, cell, "half step", "ArrowRight"))
        says(cell, f"{step}:")
        shoot(cell, shots / f"stepper-{n + 1}.png")
    changes(live, image, lambda: press(live, cell, "half step", "ArrowLeft"))
    says(cell, "update 1:")
    changes(live, image, lambda: press(live, cell, "half step", "End"))
    says(cell, "converged after 5 updates")
    shoot(cell, shots / "stepper-end.png")
    changes(live, image, lambda: press(live, cell, "clusters k", "End"))
    says(cell, "start: 12 points")
    changes(live, image, lambda: press(live, cell, "half step", "End"))
    says(cell, "converged after 15 updates")
    shoot(cell, shots / "stepper-twelve.png")
    changes(live, image, lambda: press(live, cell, "clusters k", "Home"))
    says(cell, "start: 1 point drawn")
    no_errors(live)


def test_stepper_buttons(live, shots):
    cell = live.locator(".jp-Notebook .jp-CodeCell").nth(1)
    image = cell.locator(".widget-html img")
    button = lambda name: cell.get_by_role("button", name=name)
    for _ in range(3): changes(live, image, lambda: press(live, cell, "clusters k", "ArrowRight"))
    changes(live, image, lambda: button("new start").click())
    says(cell, "start: 4 points")
    changes(live, image, lambda: button("forward").press("Enter"))
    says(cell, "assign 1:")
    changes(live, image, lambda: button("back").press("Enter"))
    says(cell, "start:")
    changes(live, image, lambda: cell.locator(".jupyter-widget-play button, .widget-play button").first.click())
    says(cell, "converged after")
    assert cell.get_by_role("slider").nth(1).get_attribute("aria-valuenow") == cell.get_by_role("slider").nth(1).get_attribute("aria-valuemax")
    shoot(cell, shots / "stepper-played.png")
    changes(live, image, lambda: button("new start").click())
    says(cell, "start: 4 points")
    no_errors(live)


def test_explorer_answers_to_the_keyboard(live, shots):
    cell = live.locator(".jp-Notebook .jp-CodeCell").nth(2)
    image = cell.locator(".widget-html img")
    says(cell, "finds 6 clusters")
    shoot(cell, shots / "explorer-start.png")
    changes(live, image, lambda: press(live, cell, "bandwidth", "End"))
    says(cell, "finds 1 cluster,")
    shoot(cell, shots / "explorer-wide.png")
    changes(live, image, lambda: press(live, cell, "bandwidth", "Home"))
    says(cell, "Bandwidth 0.5")
    shoot(cell, shots / "explorer-narrow.png")
    changes(live, image, lambda: press(live, cell, "around point", "End"))
    says(cell, "point 1499")
    for _ in range(2): changes(live, image, lambda: press(live, cell, "bandwidth", "ArrowRight"))
    says(cell, "finds 16 clusters")
    shoot(cell, shots / "explorer-one.png")
    no_errors(live)


DRAWN = """button => {
    if (button.querySelector('svg path')) return true;
    const pixels = text => {
        const canvas = document.createElement('canvas'), pen = canvas.getContext('2d');
        pen.font = '24px ' + getComputedStyle(button).fontFamily;
        pen.fillText(text, 20, 60);
        return canvas.toDataURL();
    };
    return ![pixels('\\u{10FFFF}'), pixels(' ')].includes(pixels(button.innerText.trim() || ' '));
}"""


def plays(page, film):
    "The film, started by its button, comes to another picture; each button has a name and a sign that can be drawn offline."
    buttons = film.locator("button").all()
    assert len(buttons) == 9 and film.locator("i.fa").count() == 0
    assert [b.get_attribute("title") for b in buttons if not b.evaluate(DRAWN)] == []
    changes(page, film.locator("img"), film.locator("button[title=Play]").click)


def test_film_plays_in_lab(live, shots):
    cell = live.locator(".jp-Notebook .jp-CodeCell").nth(3)
    plays(live, cell.locator(".animation"))
    shoot(cell, shots / "film-lab.png")
    no_errors(live)


def test_lab_shows_pictures_before_anything_is_run(lab, page, shots):
    page.goto(f"{lab}/lab/tree/stored.ipynb?reset")
    images = page.locator(".jp-RenderedImage img")
    images.nth(1).wait_for()
    assert all(i.evaluate("i => i.naturalWidth") == 880 for i in images.all())
    shoot(page.locator(".jp-Notebook .jp-CodeCell").nth(1), shots / "stored-lab.png")


def test_html_export_shows_pictures_and_plays_the_film(folder, page, shots):
    subprocess.run([sys.executable, "-m", "nbconvert", "--to", "html", folder / "stored.ipynb"], check=True, capture_output=True)
    page.route("http*://**", lambda route: route.abort())
    page.goto((folder / "stored.html").as_uri())
    pictures = page.locator(".jp-RenderedImage img")
    assert pictures.count() == 2 and all(p.evaluate("i => i.naturalWidth") == 880 for p in pictures.all())
    plays(page, page.locator(".animation"))
    page.screenshot(path=shots / "stored-html.png", full_page=True)


@pytest.fixture(scope="module")
def tasks(lab, browser):
    "tasks.ipynb in JupyterLab with every cell run, nothing answered."
    page = all_run(lab, browser, "tasks")
    page.locator(".jp-OutputArea img").first.wait_for()
    yield page
    page.close()


def code(page, n): return page.locator(".jp-Notebook .jp-CodeCell").nth(n)


def answers_with(page, answer, told):
    "Type a function in the answer cell and run it and the check below it by keyboard; the check says what is `told`."
    code(page, 1).locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.insert_text(answer)
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Shift+Enter")
    sync_api.expect(code(page, 2).locator(".jp-OutputArea-output")).to_contain_text(told)


def test_a_wrong_answer_its_feedback_and_the_right_one(tasks, shots):
    sync_api.expect(code(tasks, 2).locator(".jp-OutputArea-output")).to_contain_text("not answered yet. To write: the square root of a sum of squares.")
    answer = "def browser_distance(x, X): return (X - x).square().sum(1)"
    answers_with(tasks, answer, "It looks like this: root forgotten")
    shoot(code(tasks, 2), shots / "exercise-wrong.png")
    answers_with(tasks, answer.replace("X - x", "X[99] - x"), "in your line 1")
    shoot(code(tasks, 2), shots / "exercise-error.png")
    answers_with(tasks, answer + ".sqrt()", "right, on 3 inputs")
    shoot(code(tasks, 2), shots / "exercise-right.png")
    no_errors(tasks)


def tab_until(page, locator, presses=12):
    "Press Tab until `locator` has the focus."
    for _ in range(presses):
        page.keyboard.press("Tab")
        if locator.evaluate("node => node === document.activeElement"): return
    pytest.fail(f"not reached by {presses} presses of Tab")


def run_by_keyboard(page, n):
    "From the cell's text, which is clicked: Ctrl-Enter runs the cell and leaves the focus on it, in the notebook's command mode."
    old = code(page, n).locator(".jp-InputPrompt").inner_text()
    code(page, n).locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    sync_api.expect(code(page, n).locator(".jp-InputPrompt")).not_to_have_text(old)
    sync_api.expect(code(page, n).locator(".jp-InputPrompt")).to_have_text(re.compile(r"\d"))


def test_a_prediction_by_keyboard(tasks, shots):
    cells = tasks.locator(".jp-Notebook .jp-Cell").count()
    run_by_keyboard(tasks, 3)
    cell = code(tasks, 3)
    buttons = cell.get_by_role("button", name=re.compile("error|shape"))
    buttons.nth(2).wait_for()
    tab_until(tasks, buttons.first)
    shoot(cell, shots / "prediction-asked.png")
    tasks.keyboard.press("Tab")
    tasks.keyboard.press("Tab")
    sync_api.expect(buttons.nth(2)).to_be_focused()
    tasks.keyboard.press("Enter")
    says(cell, "Not so. Nothing is transposed.")
    tasks.keyboard.press("Shift+Tab")
    sync_api.expect(buttons.nth(1)).to_be_focused()
    tasks.keyboard.press("Space")
    says(cell, "Right. The missing size counts as 1.")
    sync_api.expect(buttons.nth(1)).to_be_focused()
    shoot(cell, shots / "prediction-choices.png")
    assert tasks.locator(".jp-Notebook .jp-Cell").count() == cells
    no_errors(tasks)


def test_a_number_predicted_by_keyboard(tasks, shots):
    run_by_keyboard(tasks, 4)
    cell = code(tasks, 4)
    field = cell.locator(".widget-text input")
    field.wait_for()
    tab_until(tasks, field)
    tasks.keyboard.type("50/6")
    tasks.keyboard.press("Enter")
    says(cell, "Right. The zero is counted.")
    shoot(cell, shots / "prediction-number.png")
    no_errors(tasks)


def test_the_progress_is_shown(tasks, shots):
    cell = code(tasks, 5)
    cell.locator(".cm-content").click()
    tasks.keyboard.press("Shift+Enter")
    row = cell.get_by_role("row", name="02_einsum")
    sync_api.expect(row).to_contain_text("root forgotten")
    cell.locator(".jp-OutputArea img").last.wait_for()
    shoot(cell, shots / "progress.png")
    no_errors(tasks)
