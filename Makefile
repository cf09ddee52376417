# Everything runs in an environment of the project's own, made from pinned constraints.
PYTHON ?= python3
ENV := .venv
BIN := $(ENV)/bin
READY := $(ENV)/.ready
VECTORS := $(ENV)/vectors/.ready

.PHONY: demo serve test packages vectors check format bench reading fault fuzz screenshots clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "letterbox needs Python 3.11 or newer; set PYTHON=… to one")'
	$(PYTHON) -m venv $(ENV)
	PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

demo: $(READY)
	@$(BIN)/letterbox demo $(ARGS)

serve: $(READY)
	@$(BIN)/letterbox serve $(ARGS)

test: $(READY) packages vectors check
	$(BIN)/pytest -m 'not long' --numprocesses auto --maxprocesses 4 --dist loadfile $(ARGS)

packages:
	@tests/install-packages

vectors: $(VECTORS)

# Where they are not to be had the file is not made, and the next run tries again.
$(VECTORS): $(READY) tests/vectors.txt
	@tests/fetch-vectors $(ENV)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)
	$(BIN)/python -m bench.run $(ARGS)

reading: $(READY)
	$(BIN)/python -m bench.reading $(ARGS)

fault: $(READY) packages
	$(BIN)/pytest tests/fault $(ARGS)
	$(BIN)/pytest -m long tests/browser tests/unit $(ARGS)

fuzz: $(READY)
	HYPOTHESIS_PROFILE=fuzz $(BIN)/pytest tests/property tests/whole/test_described.py $(ARGS)

screenshots: $(READY) packages
	$(BIN)/python -m tests.support.screenshots docs/img

clean:
	rm -rf $(ENV) build dist *.egg-info
