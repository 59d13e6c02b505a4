# Each target sets up .venv by itself; a second run finds the stamp and starts at once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: test lint demo examples bench clean

$(VENV)/.stamp-test: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@

lint: $(VENV)/.stamp-test
	$(BIN)/ruff check symbolic lasagne_like tests examples benchmarks
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -n 2
	$(BIN)/python -m symbolic.testing.fuzz --seconds 60 --seed $${FUZZ_SEED:-0}

demo: $(VENV)/.stamp-demo
	$(BIN)/python examples/digits_mlp.py
	$(BIN)/python examples/digits_lenet.py

examples: $(VENV)/.stamp-demo
	mkdir -p build
	$(BIN)/python examples/newton.py
	$(BIN)/python examples/power_iteration.py
	$(BIN)/python examples/hmc.py
	$(BIN)/python examples/char_rnn.py --epochs 1
	$(BIN)/python examples/char_lstm.py --epochs 5
	$(BIN)/python examples/digits_resnet.py
	$(BIN)/python examples/efficientnet_lite0.py
	$(BIN)/python examples/digits_autoencoder.py --out build

$(VENV)/.stamp-demo: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[examples]"
	touch $@

bench: .venv-bench/.stamp
	.venv-bench/bin/python benchmarks/run.py

.venv-bench/.stamp: setup.cfg pyproject.toml
	test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --editable ".[bench]"
	touch $@

clean:
	rm -rf $(VENV) .venv-bench build *.egg-info .pytest_cache .mypy_cache .ruff_cache
