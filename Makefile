# The two commands of the README are "make demo" and "make test". Both need Python 3.11 or later, git, make, perl and a C++ compiler.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests run on all cores, but at least two processes, since many of them wait for other programs.
JOBS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); [ $$n -lt 2 ] && n=2; echo $$n)
# Cases of "make fuzz" or commands of "make faults", seed of the first one, and the folder with MNIST's four .gz files for "make bench".
N ?= 1000
SEED ?= 1
DATA ?= ../shared/data/mnist

.PHONY: demo test lint fuzz faults prove bench bench-chip docs bitstreams train clean

demo: $(VENV)/.installed
	$(BIN)/spikeloom demo -o build/demo

# Cheap and quick first: style and types, then golden model and compiler, then hardware against golden model, then synthesis.
test: lint
	$(BIN)/pytest -n $(JOBS) tests/test_rooms.py tests/arch tests/golden tests/network tests/host tests/docs tests/cli tests/hdl tests/examples tests/sim tests/boards tests/bench

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Random lockstep of random geometries: golden model against generated hardware. N=100000 runs for hours.
fuzz: $(VENV)/.installed
	$(BIN)/python -m spikeloom.sim.fuzz --cases $(N) --seed $(SEED)

# Driver and whole design over a line that loses, flips, doubles and delays bytes: N commands.
faults: $(VENV)/.installed
	$(BIN)/python -m spikeloom.sim.faults --commands $(N) --seed $(SEED)

# Formal proofs of the router for all sets of sides and the longest ways; "make test" proves two of them.
prove: $(VENV)/.installed-dev
	$(BIN)/python -m spikeloom.sim.formal --deep

# Every figure of the README but that of "bench-chip"; writes bench/results/*.json and the README's tables.
bench: $(VENV)/.installed
	mkdir -p bench/results
	$(BIN)/python bench/core_size.py --json > build/core_size.json && mv build/core_size.json bench/results/core_size.json
	$(BIN)/python bench/boards.py --jobs 2 --output build --json > build/boards.json && mv build/boards.json bench/results/boards.json
	$(BIN)/python bench/mnist.py --data $(DATA) --json > build/mnist.json && mv build/mnist.json bench/results/mnist.json
	$(BIN)/python bench/link.py --data $(DATA) --json > build/link.json && mv build/link.json bench/results/link.json
	$(BIN)/python bench/simulators.py --json > build/simulators.json && mv build/simulators.json bench/results/simulators.json
	$(BIN)/python bench/layers.py --json > build/layers.json && mv build/layers.json bench/results/layers.json
	$(BIN)/python bench/behaviours.py --json > build/behaviours.json && mv build/behaviours.json bench/results/behaviours.json
	$(BIN)/python bench/stdp_window.py --picture docs/stdp_window.png --json > build/stdp_window.json && mv build/stdp_window.json bench/results/stdp_window.json
	$(BIN)/python bench/learning_cost.py --json > build/learning_cost.json && mv build/learning_cost.json bench/results/learning_cost.json
	$(BIN)/python bench/neurons.py --json > build/neurons.json && mv build/neurons.json bench/results/neurons.json
	$(BIN)/python bench/router.py --json > build/router.json && mv build/router.json bench/results/router.json
	$(BIN)/pip install --quiet -e '.[bench]'
	$(BIN)/python bench/golden_speed.py --json > build/golden_speed.json && mv build/golden_speed.json bench/results/golden_speed.json
	$(BIN)/python bench/learning_speed.py --json > build/learning_speed.json && mv build/learning_speed.json bench/results/learning_speed.json
	$(BIN)/python bench/unsupervised.py --data $(DATA) --picture docs/unsupervised.png --json > build/unsupervised.json && mv build/unsupervised.json bench/results/unsupervised.json
	$(BIN)/python -m spikeloom.examples.behaviours -o build/behaviours && cp build/behaviours/behaviours.png docs/behaviours.png
	$(BIN)/spikeloom demo -o build/demo && cp build/demo/demo.json bench/results/digits.json && cp build/demo/demo.png docs/demo.png
	$(BIN)/python docs/generate.py

# A chip that fills the ULX3S: an hour of place and route.
bench-chip: $(VENV)/.installed
	mkdir -p build bench/results
	$(BIN)/python bench/chip_size.py --json > build/chip_size.json && mv build/chip_size.json bench/results/chip_size.json
	$(BIN)/python docs/generate.py

# Bitstreams of all boards, with a table: half an hour of place and route.
bitstreams: $(VENV)/.installed
	mkdir -p build bench/results
	$(BIN)/python bench/boards.py --jobs 2 --output build --json > build/boards.json && mv build/boards.json bench/results/boards.json

# Tables in documents that are made from the code and from bench/results.
docs: $(VENV)/.installed-dev
	$(BIN)/python docs/generate.py

train: $(VENV)/.installed
	$(BIN)/pip install --quiet -e '.[train]'
	$(BIN)/python examples/digits/train.py

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet -e .
	mkdir -p build
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@

clean:
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis
