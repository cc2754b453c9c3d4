"""The notebook check: every notebook is executed and held to its stored outputs.

A pytest plugin over nbval, which runs each code cell and compares its outputs, strictly. Code cells are counted from 0:
`Cell 4` is the one that Jupyter shows as [5]. Added here:

- **Numbers.** Two texts are the same if they differ only in decimal numbers, each by at most 1e-4 (1 + its size) or, printed with
  three decimals, by one in the last (torch rounds 0.16049 and 0.16051, the same number on two devices, to 0.160 and 0.161), and in
  the blanks before them (a tensor's columns move with the sign of a zero). Whole numbers, words, nan and inf are exact.
- **Pictures**, and the frames of animations, are compared as a viewer would: on white, as the means of blocks of 8 x 8 pixels,
  each colour channel from 0 to 1. The limits lie between two sets of measurements (matplotlib 3.11, the course's scatter plot of
  1500 points, 500 x 400 pixels; films' frames 180 x 180):

      ====================================================  ==============  ========
      the same picture, but                                 largest block   mean
      ====================================================  ==============  ========
      drawn again                                           0               0
      data or centroids changed by 1e-5, relative           0.0004          0.000001
      data or centroids changed by 1e-4, relative           0.0028          0.00001
      **limit**                                             **0.005**       **0.0005**
      one digit changed in the title of a film's frame      from 0.0079     0.00004
      one letter changed in the title                       0.041           0.00001
      one point of size 1 moved by 1 in 75 of the axis      0.056           0.00002
      a centroid's cross moved by one pixel                 0.080           0.00009
      one cluster of 250 points of size 1 recoloured        0.21 to 0.55    0.001
      another title                                         0.23            0.0006
      ====================================================  ==============  ========

  The limit of the mean is for what is faint but everywhere: a page turned from white to ivory.
- **The notebook as stored** is one more test, `order`, that starts no kernel: see `notebook_faults`.
- Cells run with history, as in Jupyter, so that `;` hides a value; what a widget's own output area takes is the widget's, not the cell's.
- A summary line counts what was compared. If more than 2 % of all code cells are not compared, the run fails.

Set `CLUSTERLAB_ARTIFACTS` to a folder to have both versions of each picture that differs written there.
"""

import base64
import copy
import io
import math
import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile, find_comment_markers, find_metadata_tags, nocolors
from PIL import Image

NOTEBOOKS = Path(__file__).resolve().parents[1] / "nbs"
TOLERANCE = 1e-4
BLOCK, BLOCK_LIMIT, MEAN_LIMIT = 8, 0.005, 0.0005
IGNORED_LIMIT = 0.02
MAX_BYTES = 1_000_000
STARTS, PATIENCE = 3, 60            # times to try to start a kernel; seconds between two messages of a cell

# A whole number with a dot counts as decimal only where a tensor would print it: before a comma or a bracket.
NUMBER = re.compile(r"\s*(?<![\w.#])([-+]?(?:\d+\.(?:\d+|(?=[],)]))|\.\d+)(?:e[-+]?\d+)?|[-+]?\d+e[-+]?\d+\b|[-+]?(?:nan|inf)\b)")
FRAME = re.compile(r"data:image/(?:png|jpeg);base64,([A-Za-z0-9+/=\\\s]+)")
RANDOM_ID = re.compile(r"[0-9a-f]{32}")
ANSI = re.compile(r"\x1b\[[0-9;]*m")
DESCRIPTION = re.compile(r'(?:role="img" aria-label|alt)="\s*[^"\s]')
REASON = re.compile(r"# not compared: \S")


# ---- text

def tolerance(number: str) -> float:
    "How much a printed decimal may change."
    last_digit = 1.0001e-3 if re.fullmatch(r"[-+]?\d*\.\d{3}", number) else 0
    return max(TOLERANCE * (1 + abs(float(number))), last_digit)


def same_number(stored: str, new: str) -> bool:
    "Whether two printed numbers agree: a decimal within the tolerance, nan with nan, inf with inf."
    return stored == new or math.isclose(float(stored), float(new), rel_tol=0, abs_tol=tolerance(stored))


def same_text(stored: str, new: str) -> bool:
    "Whether two texts are the same but for decimal numbers within the tolerance and the blanks before them."
    if stored == new: return True
    before, after = NUMBER.findall(stored), NUMBER.findall(new)
    return NUMBER.sub("\0", stored) == NUMBER.sub("\0", new) and all(map(same_number, before, after))


def without_pictures(html: str) -> str:
    "HTML with a word for each picture in it and, where there are pictures, for each random id."
    words, pictures = FRAME.subn("(picture)", html)
    return RANDOM_ID.sub("(id)", words) if pictures else words


def agreeing(stored: list, new: list) -> tuple[list, list]:
    "Copies of two lists of outputs, without pictures; where their texts agree, the new one takes the stored text."
    stored, new = copy.deepcopy([stored, new])
    for output in stored + new:
        if "text/html" in output.get("data", {}): output.data["text/html"] = without_pictures(output.data["text/html"])
    for s, n in zip(stored, new):
        if s.output_type == n.output_type == "stream" and s.name == n.name and same_text(s.text, n.text): n.text = s.text
        for mime in s.get("data", {}).keys() & n.get("data", {}).keys():
            if mime.startswith("text/") and same_text(s.data[mime], n.data[mime]): n.data[mime] = s.data[mime]
    return stored, new


# ---- pictures

class Picture(NamedTuple):
    name: str
    alt: str
    data: bytes


def pictures(outputs: list) -> list[Picture]:
    "All pictures in a cell's outputs, those of animations included, in order."
    found, n_pictures, n_films = [], 0, 0
    for output in outputs:
        for mime, value in output.get("data", {}).items():
            if mime in ("image/png", "image/jpeg"):
                n_pictures += 1
                alt = output.metadata.get(mime, {}).get("alt", "")
                found.append(Picture(f"picture {n_pictures}", alt, base64.b64decode(value)))
            elif mime == "text/html" and (frames := FRAME.findall(value)):
                n_films += 1
                found += [Picture(f"frame {i} of animation {n_films}", "", base64.b64decode(f)) for i, f in enumerate(frames, 1)]
    return found


def pixels(data: bytes) -> np.ndarray:
    "A picture on white as an array (height, width, 3) from 0 to 1."
    image = Image.open(io.BytesIO(data)).convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB"), float) / 255


def block_means(x: np.ndarray) -> np.ndarray:
    "Means over blocks of 8 x 8 pixels, the last ones filled up with zeros: (rows, columns, 3)."
    height, width, _ = x.shape
    x = np.pad(x, ((0, -height % BLOCK), (0, -width % BLOCK), (0, 0)))
    return x.reshape(len(x) // BLOCK, BLOCK, -1, BLOCK, 3).mean((1, 3))


def difference(stored: np.ndarray, new: np.ndarray) -> tuple[float, float, tuple[int, int]]:
    "Largest and mean block difference of two pictures of one size, and the pixel (x, y) where the largest begins."
    blocks = np.abs(block_means(stored - new))
    row, column, _ = np.unravel_index(blocks.argmax(), blocks.shape)
    return blocks.max(), blocks.mean(), (int(column) * BLOCK, int(row) * BLOCK)


def picture_fault(stored: Picture, new: Picture) -> str:
    "How two pictures differ, in words; empty if they look the same."
    if stored.alt != new.alt: return f"{stored.name}: its alt text was {stored.alt!r}, is now {new.alt!r}"
    if stored.data == new.data: return ""
    before, after = pixels(stored.data), pixels(new.data)
    if before.shape != after.shape:
        return f"{stored.name}: its size was {before.shape[1]} x {before.shape[0]} pixels, is now {after.shape[1]} x {after.shape[0]}"
    largest, mean, place = difference(before, after)
    if largest <= BLOCK_LIMIT and mean <= MEAN_LIMIT: return ""
    return (f"{stored.name} looks different: largest difference in a block of {BLOCK} x {BLOCK} pixels {largest:.4f} (limit {BLOCK_LIMIT}), "
            f"at x = {place[0]}, y = {place[1]}; mean difference {mean:.5f} (limit {MEAN_LIMIT})")


def picture_faults(stored: list[Picture], new: list[Picture]) -> dict[int, str]:
    "What is wrong with the new pictures, by position; a single fault if there are not the same ones."
    before, after = [p.name for p in stored], [p.name for p in new]
    if before != after: return {-1: f"pictures stored: {', '.join(before) or 'none'}; pictures now: {', '.join(after) or 'none'}"}
    return {i: fault for i, pair in enumerate(zip(stored, new)) if (fault := picture_fault(*pair))}


def save_pictures(prefix: str, stored: list[Picture], new: list[Picture]) -> None:
    "Write pictures into the folder that CLUSTERLAB_ARTIFACTS names; nothing if it names none."
    if not (folder := os.environ.get("CLUSTERLAB_ARTIFACTS")): return
    Path(folder).mkdir(parents=True, exist_ok=True)
    for which, group in (("stored", stored), ("new", new)):
        for picture in group:
            Path(folder, f"{prefix}-{picture.name}-{which}.png".replace(" ", "_")).write_bytes(picture.data)


# ---- the notebook as stored

def options_of(cell) -> dict:
    "nbval's options for a cell, from its tags and marker comments: check, skip, check_exception."
    return {"check": True, **dict(find_metadata_tags(cell.metadata)), **dict(find_comment_markers(cell.source))}


def is_ignored(options: dict) -> bool:
    "Whether a cell with these options is not compared."
    return bool(not options["check"] or options.get("skip"))


def order_fault(cells: list) -> str:
    "The first code cell whose execution count is not its place in the row 1, 2, 3 ..., in words."
    numbered = [(i, c) for i, c in enumerate(cells) if c.source.strip() and "skip-execution" not in c.metadata.get("tags", [])]
    for wanted, (i, cell) in enumerate(numbered, 1):
        if cell.execution_count is None: return f"Cell {i} has no execution count, wanted {wanted}. Execute the notebook: `make lessons`"
        if cell.execution_count != wanted:
            return (f"Cell {i} has execution count {cell.execution_count}, wanted {wanted}: a cell is missing, was added, or ran out of order. "
                    "Execute the notebook: `make lessons`")
    return ""


def count_fault(found: int, stored: int | None) -> str:
    "Whether there are as many code cells as `make lessons` counted, in words."
    if stored in (None, found): return ""
    return f"There are {found} code cells, wanted {stored}: one is missing or was added. Execute the notebook: `make lessons`"


def cell_faults(i: int, cell) -> list[str]:
    "What is wrong with code cell `i` as stored."
    options, faults = options_of(cell), []
    code = [line for line in cell.source.splitlines() if not line.startswith("#|")]
    if is_ignored(options) and not (code and REASON.match(code[0])):
        faults.append(f"Cell {i} is not compared and does not say why. Let its first line be `# not compared: <reason>`")
    for output in cell.outputs:
        if output.output_type == "error" and not options.get("check_exception"):
            faults.append(f"Cell {i} stores the error {output.ename}. Mend it, or tag the cell raises-exception")
        data = output.get("data", {})
        if "image/png" in data and not output.metadata.get("image/png", {}).get("alt", "").strip():
            faults.append(f"Cell {i} shows a picture without alt text. Draw it with `show(\"what it shows\")` of clusterlab.plots")
        if FRAME.search(html := data.get("text/html", "")) and not DESCRIPTION.search(html):
            faults.append(f"Cell {i} shows an animation without a description. Use `animation_html(animation, alt=...)` of clusterlab.plots")
    return faults


def notebook_faults(notebook, n_bytes: int) -> list[str]:
    """What is wrong with a notebook before any of it is run.

    Its code cells are counted 1, 2, 3 ... without a gap, and there are as many as were executed, so that a dropped cell is missed; pictures and animations
    have a description; errors are stored only where they are expected; a cell that is not compared says why; and the file is below 1 MB.
    """
    cells = [c for c in notebook.cells if c.cell_type == "code"]
    faults = [order_fault(cells), count_fault(len(cells), notebook.metadata.get("code_cells")), *(f for i, c in enumerate(cells) for f in cell_faults(i, c))]
    if n_bytes >= MAX_BYTES: faults.append(f"The notebook has {n_bytes:,} bytes, wanted less than {MAX_BYTES:,}")
    return [f for f in faults if f]


# ---- pytest

class Order(pytest.Item):
    "The test of a notebook as stored."

    class Fault(Exception): pass

    def runtest(self):
        if faults := notebook_faults(self.parent.nb, self.path.stat().st_size): raise self.Fault("\n".join(faults))

    def repr_failure(self, excinfo):
        return str(excinfo.value) if isinstance(excinfo.value, self.Fault) else super().repr_failure(excinfo)

    def reportinfo(self):
        return self.path, 0, f"{self.path.name}::{self.name}"


class Cell(IPyNbCell):
    "The test of one code cell: it runs, and its outputs agree with the stored ones."

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.output_timeout = PATIENCE
        terminal = self.config.pluginmanager.get_plugin("terminalreporter")
        if not (terminal and terminal.hasmarkup): self.colors = nocolors
        if is_ignored(self.options): self.user_properties.append(("nbcheck", "ignored"))

    def setup(self):
        self.parent.start_kernel()
        super().setup()

    def compare_outputs(self, test, ref, skip_compare=None):
        stored, new = pictures(ref), pictures(test)
        films = sum(p.name.startswith("frame 1 ") for p in stored)
        self.user_properties.append(("nbcheck", [len(ref), sum(p.name.startswith("picture") for p in stored), films]))
        ref, test = agreeing(ref, test)
        same = super().compare_outputs(test, ref, skip_compare)
        faults = picture_faults(stored, new)
        self.comparison_traceback += [self.colors.FAIL + fault + self.colors.ENDC for fault in faults.values()]
        prefix = f"{self.path.stem}-{self.name}"
        if -1 in faults: save_pictures(prefix, stored, new)
        else: save_pictures(prefix, [stored[i] for i in faults], [new[i] for i in faults])
        return same and not faults

    def repr_failure(self, excinfo):
        text = super().repr_failure(excinfo)
        return ANSI.sub("", text) if self.colors is nocolors else text


class Notebook(IPyNbFile):
    "A notebook: one test of it as stored, then one for each of its code cells, in one kernel."

    def collect(self):
        cells = list(super().collect())
        yield Order.from_parent(self, name="order")
        for c in cells:
            cell = copy.copy(c.cell)
            if cell.execution_count is None: cell.execution_count = 0       # nbval would not compare it; `order` speaks of it
            yield Cell.from_parent(self, name=c.name, cell_num=c.cell_num, cell=cell, options=c.options)

    def setup(self):
        self.capturing = set()

    def start_kernel(self):
        if self.kernel is not None: return
        for tries_left in reversed(range(STARTS)):
            try: super().setup()
            except RuntimeError:            # two kernels that start at once may choose the same port, and one of them dies
                if not tries_left: raise
            else: break
        self.kernel.execute_cell_input = lambda source, allow_stdin=None: self.kernel.kc.execute(
            source, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)

    def get_kernel_message(self, timeout=None, stream="iopub"):
        while self.is_captured(message := super().get_kernel_message(timeout, stream)): pass
        return message

    def is_captured(self, message: dict) -> bool:
        "Whether a widget's output area takes this message. Such a widget says so by setting its `msg_id`."
        kind, content = message["msg_type"], message["content"]
        if kind.startswith("comm_"):
            state = content.get("data", {}).get("state", {})
            if "msg_id" in state: (self.capturing.add if state["msg_id"] else self.capturing.discard)(content["comm_id"])
        return bool(self.capturing) and kind in ("stream", "display_data", "execute_result", "update_display_data", "clear_output")


class Tally(NamedTuple):
    cells: int
    ignored: int
    outputs: int
    pictures: int
    animations: int
    notebooks: set

    @property
    def ignored_share(self): return self.ignored / max(1, self.cells + self.ignored)

    @property
    def too_many_ignored(self): return self.ignored_share > IGNORED_LIMIT and self.notebooks >= all_notebooks()


def all_notebooks() -> set[Path]:
    "Every notebook of the course, hidden folders left out."
    return {p for p in NOTEBOOKS.rglob("*.ipynb") if not any(part.startswith(".") for part in p.relative_to(NOTEBOOKS).parts)}


def tally(config) -> Tally:
    "What was compared in this run, from the reports (which arrive here from all workers)."
    stats = config.pluginmanager.get_plugin("terminalreporter").stats
    reports = [r for group in stats.values() for r in group if getattr(r, "when", "") == "call"]
    values = [value for r in reports for name, value in r.user_properties if name == "nbcheck"]
    compared = [v for v in values if v != "ignored"]
    sums = [sum(column) for column in zip(*compared)] or [0, 0, 0]
    paths = {(config.rootpath / r.nodeid.split("::")[0]).resolve() for r in reports if ".ipynb::Cell" in r.nodeid}
    return Tally(len(compared), len(values) - len(compared), *sums, paths)


def pytest_configure(config):
    config.option.nbval = config.option.nbval_lax = False       # this plugin collects the notebooks, in nbval's place
    config.option.nbval_current_env = True
    if config.option.nbval_cell_timeout == 2000: config.option.nbval_cell_timeout = 300                # seconds; 2000 is nbval's default
    if config.getoption("dist", "no") == "load": config.option.dist = "loadfile"                       # a notebook's cells stay together


def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".ipynb": return Notebook.from_parent(parent, path=file_path)


def pytest_sessionfinish(session):
    if session.config.pluginmanager.has_plugin("terminalreporter") and tally(session.config).too_many_ignored and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter, config):
    yield
    if not (t := tally(config)).notebooks: return
    terminalreporter.line(f"notebook check: {t.outputs} outputs compared in {t.cells} cells ({t.pictures} pictures, {t.animations} animations), "
                          f"{t.ignored} ignored ({100 * t.ignored_share:.1f} %)")
    if t.too_many_ignored: terminalreporter.line(f"FAILED: more than {100 * IGNORED_LIMIT:.0f} % of the cells are not compared", red=True)
