# Every command of the course. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PY := $(BIN)/python
READY := $(VENV)/ready
WORKERS ?= 2
SUBJECT ?= kmeans
AS_ROOT := $(shell test "$$(id -u)" = 0 && echo --allow-root)

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(READY): settings.ini setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $(READY)

setup: $(READY) ## install everything into .venv (the others do it for you)

lab: $(READY) ## open the course in JupyterLab
	@$(BIN)/jupyter-trust nbs/*.ipynb nbs/tools/*.ipynb > /dev/null
	$(PY) -m jupyterlab --notebook-dir=nbs --LabApp.default_url=/lab/tree/index.ipynb --LabApp.news_url=None \
		--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate $(AS_ROOT) $(ARGS)

test: export OMP_NUM_THREADS = 1
test: export IN_TEST = 1
test: $(READY) ## install, re-execute every notebook and compare its outputs, run every test
	$(PY) -m clusterlab.edition check
	$(PY) -m pytest -q -n $(WORKERS) --dist loadfile tests
	$(PY) -m pytest -q -n $(WORKERS) --dist loadfile nbs

lessons: $(READY) ## export, execute in place, clean and verify the notebooks (one: NB=04; all anew: ARGS=--force)
	$(PY) -m clusterlab.edition lessons $(NB) $(ARGS)

student: $(READY) ## write dist/student and dist/solutions, and a zip of each; stops where the student's copy holds a solution
	$(PY) -m clusterlab.handout student
	$(PY) -m clusterlab.handout solutions

grade: $(READY) ## grade a pile of notebooks (SUBMISSIONS=dir) into dist/grades (ARGS="--seed 7" repeats one)
	$(PY) -m clusterlab.grading $(SUBMISSIONS) --workers $(WORKERS) $(ARGS)

test-browser: export CLUSTERLAB_ARTIFACTS ?= artifacts
test-browser: $(READY) ## drive JupyterLab in Chromium; the screenshots go to artifacts/
	$(PY) -m pytest -q -rs tests/test_browser.py

bench: $(READY) ## time one subject against other libraries (kmeans; SUBJECT=neighbors, lsh, dbscan, meanshift; an hour or more; ARGS="--out NAME" keeps the record)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	$(PY) benchmarks/$(SUBJECT).py $(ARGS)

paper: $(READY) ## make paper/mean-shift.pdf from the record of the mean shift's benchmark
	$(PY) paper/build.py $(ARGS)

clean: ## delete what the other commands made, .venv included
	rm -rf $(VENV) build dist artifacts *.egg-info .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

.PHONY: help setup lab test test-browser lessons student grade bench paper clean
.DEFAULT_GOAL := help
