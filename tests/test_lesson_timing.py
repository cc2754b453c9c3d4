"The stopwatch of lesson 03, held against a pretend GPU with a pretend clock: it must wait before it starts and before it stops, and time no copy."
import json
import time
from pathlib import Path
from types import SimpleNamespace

NOTEBOOK = Path(__file__).parents[1] / "nbs/03_mean_shift_batched.ipynb"
SOURCES = ["".join(c["source"]) for c in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]


def source_with(words): return next(s for s in SOURCES if words in s)


def pretend():
    "The lesson's pretend GPU, and the lesson's stopwatch reading its clock."
    lesson = {}
    exec(source_with("class PretendGPU"), lesson)
    gpu = lesson["gpu"]
    lesson |= dict(device=SimpleNamespace(type="cuda"), time=SimpleNamespace(perf_counter=lambda: gpu.now),
                   torch=SimpleNamespace(accelerator=SimpleNamespace(synchronize=gpu.synchronize)))
    exec(source_with("def timed"), lesson)
    return gpu, lesson["timed"]


def test_defect_timing_without_synchronising():
    gpu, timed = pretend()
    assert timed(lambda: gpu.launch(20)) == 21


def test_defect_earlier_work_in_the_time():
    gpu, timed = pretend()
    gpu.launch(1000)
    assert timed(lambda: gpu.launch(20)) == 21


def test_defect_copy_to_the_device_in_the_timed_call():
    contestants = source_with("contestants =")
    assert "timed(f)" in contestants and not any(copy in contestants for copy in (".to(", ".cpu(", ".cuda("))


def test_the_stopwatch_does_not_wait_for_a_cpu():
    lesson = dict(device=SimpleNamespace(type="cpu"), time=time, torch=None)
    exec(source_with("def timed"), lesson)
    assert lesson["timed"](lambda: None) >= 0
