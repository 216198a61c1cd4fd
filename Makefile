# INDEX chooses where pip finds packages: INDEX="--index-url URL" for another build of torch.
INDEX ?=
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-all browser lint bench clean

.venv/.core: pyproject.toml constraints.txt
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/pip install -q $(INDEX) -c constraints.txt -e .
	touch $@

.venv/.dev: .venv/.core
	$(BIN)/pip install -q $(INDEX) -c constraints.txt -e '.[dev]'
	touch $@

demo: .venv/.core          ## train a GAN on real handwritten digits, under two minutes on two cores
	$(BIN)/ganneal train digits-nats --out runs/demo
	$(BIN)/python examples/digit_classes.py runs/demo
	$(BIN)/ganneal report runs/demo

test: .venv/.dev           ## the suite that CI runs: under eight minutes on two cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

# torch-fidelity for its parity test, without its torchvision, which does not import beside another build of torch
.venv/.parity: .venv/.dev
	$(BIN)/pip install -q --no-deps torch-fidelity==0.4.0
	$(BIN)/pip install -q $(INDEX) -c constraints.txt tqdm
	touch $@

test-all: .venv/.parity    ## everything, the slow tests too
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "" --timeout 1800

.venv/.browser: .venv/.dev
	command -v chromium >/dev/null || { apt-get update && apt-get install -y chromium; }
	$(BIN)/pip install -q $(INDEX) -c constraints.txt -e '.[browser]'
	touch $@

browser: .venv/.browser    ## the report's pages in headless Chromium; installing Debian's may need root
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow tests/report/test_browser.py

lint: .venv/.dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/pyright

bench: .venv/.core         ## speed as ratios against a plain loop in the same process
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/losses.py
	$(BIN)/python benchmarks/convolutions.py
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/metrics.py
	$(BIN)/python benchmarks/regularizers.py
	$(BIN)/python benchmarks/optimizers.py
	$(BIN)/python benchmarks/data.py

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis
