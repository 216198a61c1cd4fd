# INDEX chooses where pip finds packages: INDEX="--index-url URL" for another build of torch.
INDEX ?=
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo quick test test-all browser playground-test lint bench evidence docs lock sbom dist-check clean

.venv/.core: pyproject.toml constraints.txt
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/pip install -q $(INDEX) -c constraints.txt -e .
	touch $@

.venv/.dev: .venv/.core
	$(BIN)/pip install -q $(INDEX) -c constraints.txt -e '.[dev]'
	touch $@

demo: .venv/.core          ## train a GAN on real handwritten digits, two to five minutes on two cores
	$(BIN)/ganneal train digits-nats --out runs/demo
	$(BIN)/python examples/digit_classes.py runs/demo
	$(BIN)/ganneal report runs/demo

quick: .venv/.dev          ## the tests of less than half a second each, for every commit
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal -m "not runs and not slow"

test: .venv/.dev           ## the suite that CI runs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

# torch-fidelity for its parity test: beside the environment, for its wheel brings a package `tests` too; and without its
# torchvision, which does not import beside another build of torch
build/parity/.ready: .venv/.dev
	rm -rf build/parity
	$(BIN)/pip install -q $(INDEX) -c constraints.txt --no-deps --target build/parity torch-fidelity==0.4.0 tqdm
	touch $@

test-all: build/parity/.ready    ## everything, the slow tests too
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "" --timeout 1800

.venv/.browser: .venv/.dev
	command -v chromium >/dev/null || { apt-get update && apt-get install -y chromium; }
	$(BIN)/pip install -q $(INDEX) -c constraints.txt -e '.[browser]'
	touch $@

browser: .venv/.browser    ## the report's pages in headless Chromium; installing Debian's may need root
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow tests/report/test_browser.py

# gradio wants pillow < 13, which is not what the rest was tested with: an environment of its own
.venv-playground/.ready: pyproject.toml constraints-playground.txt
	command -v chromium >/dev/null || { apt-get update && apt-get install -y chromium; }
	test -d .venv-playground || $(PYTHON) -m venv .venv-playground
	.venv-playground/bin/pip install -q $(INDEX) -c constraints-playground.txt \
		-e '.[playground]' pytest pytest-timeout hypothesis beartype playwright
	touch $@

playground-test: .venv-playground/.ready   ## the playground's page in headless Chromium, in .venv-playground
	OMP_NUM_THREADS=1 .venv-playground/bin/python -m pytest -m "" tests/inference/playground

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
	$(BIN)/python benchmarks/ranks.py

# PLACES says where data sets lie that are not found by name: make evidence PLACES="--data celeba=PATH"
evidence: .venv/.core      ## the runs that results/ lacks, the most decisive first; for days, stopped and started at will
	OMP_NUM_THREADS=1 nice -n 19 $(BIN)/python examples/evidence.py $(PLACES)

.venv/.docs: .venv/.core
	$(BIN)/pip install -q $(INDEX) -c constraints.txt -e '.[docs]'
	touch $@

docs: .venv/.docs          ## the site, into site/; a warning ends it
	$(BIN)/zensical build --clean --strict

# Resolved as for macOS, where torch brings no CUDA libraries; the hashes are of every file of a release, for all systems.
# PyPI has only CUDA builds of torch for Linux on x86-64: TORCH_CPU is the hash of the CPU build for Python 3.11 there.
TORCH_CPU := 6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b
lock: pyproject.toml constraints.txt    ## requirements.lock: the ordinary dependencies of constraints.txt with hashes
	test -d build/lock || $(PYTHON) -m venv build/lock
	build/lock/bin/pip install -q $(INDEX) uv==0.13.9
	MACOSX_DEPLOYMENT_TARGET=14.0 build/lock/bin/uv pip compile pyproject.toml -c constraints.txt -q --generate-hashes \
		--no-header --no-annotate --python-version 3.11 --python-platform aarch64-apple-darwin -o build/lock/all.txt \
		>build/lock/log.txt
	{ echo "# By \`make lock\`; docs/notes/compatibility.md says how. torch has the hashes of PyPI's files, and first that of the"; \
		echo "# CPU build 2.13.0+cpu for Python 3.11 on Linux, x86-64, which PyPI does not have."; \
		sed 's/^torch==.*/&\n    --hash=sha256:$(TORCH_CPU) \\/' build/lock/all.txt; } >requirements.lock

sbom:                      ## dist/sbom.json: what is locked, as a CycloneDX bill of materials
	test -d build/sbom || $(PYTHON) -m venv build/sbom
	build/sbom/bin/pip install -q $(INDEX) cyclonedx-bom==7.5.0
	mkdir -p dist
	build/sbom/bin/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --mc-type library \
		--output-reproducible --of JSON -o dist/sbom.json

dist-check:                ## wheel and sdist, built, installed into an environment of their own, and training a few steps
	rm -rf dist/*.whl dist/*.tar.gz build/dist
	$(PYTHON) -m venv build/dist
	build/dist/bin/pip install -q $(INDEX) build==1.6.1
	build/dist/bin/python -m build --outdir dist .
	build/dist/bin/pip install -q $(INDEX) -c constraints.txt dist/*.whl
	cd build/dist && bin/ganneal --help >help.txt && bin/ganneal train digits-nats --budget.d-updates 4 --out run \
		&& bin/ganneal sample run --out samples.png && bin/ganneal sample zoo:digits-nats --out zoo.png \
		&& bin/ganneal report run
	build/dist/bin/pip install -q --no-deps --force-reinstall dist/*.tar.gz && build/dist/bin/ganneal --version

clean:
	rm -rf .venv .venv-playground build dist .pytest_cache .ruff_cache .hypothesis
