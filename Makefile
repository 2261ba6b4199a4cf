# The virtual environment and its packages are made on first use, and again when their lists change.
PYTHON ?= python3
VENV := venv
BIN := $(VENV)/bin
MINUTES := 60
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

LANGUAGES := de es fr fil

.PHONY: help run key migrate import backup test check bench soak format translations clean

help:
	@echo "make run      serve on http://127.0.0.1:5000/; without an OPENAI_API_KEY, as a rehearsal"
	@echo "make key      make an API key, and its hash for API_KEYS"
	@echo "make migrate  bring the database of DATABASE_URL up to date, as every start does"
	@echo "make import   copy an SQLite file into PostgreSQL: make import FILE=..."
	@echo "make backup   copy the database, while the service runs, into backups/"
	@echo "make test     run the tests"
	@echo "make check    check format, lint and types"
	@echo "make bench    measure it against its peers, some ten minutes; writes bench/RESULTS.md"
	@echo "make soak     load for an hour, and the memory it takes; or make soak MINUTES=..."
	@echo "make format   format the code, and mend what the linter can mend"
	@echo "make translations  bring the templates' new texts into the catalogues, to be translated"
	@echo "make clean    remove the virtual environment and the tools' caches"

run: $(VENV)/.installed .env
	$(BIN)/python app.py --rehearse

key: $(VENV)/.installed
	@$(BIN)/python -m commands key

import: $(VENV)/.installed
	@$(BIN)/python -m commands import $(FILE)

backup: $(VENV)/.installed
	@$(BIN)/python -m commands backup

migrate: $(VENV)/.installed
	$(BIN)/python -m commands migrate

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto --maxschedchunk 1

check: $(VENV)/.installed-dev $(VENV)/.installed-bench
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	PYTHONPATH=. $(BIN)/lint-imports
	$(BIN)/mypy .

bench: $(VENV)/.installed-bench
	$(BIN)/python bench/run.py

soak: $(VENV)/.installed-bench
	$(BIN)/python bench/soak.py --minutes $(MINUTES)

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

translations: $(VENV)/.installed
	$(BIN)/pybabel -q extract -F pyproject.toml --omit-header --no-location -o messages.pot pages
	for language in $(LANGUAGES); do $(BIN)/pybabel -q update -i messages.pot -l $$language \
	  -o pages/translations/$$language.po --no-fuzzy-matching --ignore-obsolete --omit-header \
	  --width 100; done
	rm messages.pot

clean:
	rm -rf $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "Python 3.11 or newer is needed. If you have one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt | $(BIN)/python
	@echo "Installing packages into $(VENV)/ ..."
	$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(PIP) -r requirements-dev.txt
	@touch $@

$(VENV)/.installed-bench: requirements-bench.txt $(VENV)/.installed
	$(PIP) -r requirements-bench.txt
	@touch $@

.env:
	cp .env.example .env
