# Everything that is done with this project, from a machine that has only Python 3.11 and make.

# To make .venv with; unless it is given, the quickest that there is.
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# That a .venv is whole, and that one can be made.
IS_WHOLE := import pip, sys; sys.exit(sys.version_info[:2] != (3, 11))
IS_FIT := import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, 11))
# More processes than cores: the tests of protocols mostly wait for what the protocols wait for.
PYTEST_FLAGS ?= -n 5 --dist loadgroup
# What a running service may have in the environment, and its tests must not see.
SERVICE := MONGODB_URI DATABASE_URL REDIS_URL CELERY_BROKER_URL PORT SECRET_KEY DEBUG \
	ALLOWED_HOSTS CSRF_TRUSTED_ORIGINS LOG_LEVEL DJANGO_SETTINGS_MODULE ACCESS_TOKEN_MINUTES RATE_LIMITS ADMIN_TWO_FACTOR \
	$(shell env | sed -n 's/^\(TENANTRY_[A-Z_]*\|TENANCY_[A-Z_]*\|ACCOUNTS_[A-Z_]*\|JWT_[A-Z_]*\|LIMIT_[A-Z_]*\)=.*/\1/p')
# Every worker and server compiles all anew where bytecode is not kept.
ALONE := env -u PYTHONDONTWRITEBYTECODE $(foreach name,$(SERVICE),-u $(name))

.DEFAULT_GOAL := help
.PHONY: help install run demo test check bench drill fuzz

help: ## list what can be done
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

install: $(INSTALLED) ## make .venv with everything, the MongoDB server included

$(INSTALLED): $(wildcard requirements/*.txt)
	@$(BIN)/python -c '$(IS_WHOLE)' 2>/dev/null || { \
		rm -rf $(VENV); python="$(PYTHON)"; \
		for any in python3.11 python3 /usr/bin/python3.11 /usr/bin/python3; do \
			test -z "$$python" || break; command -v "$$any" >/dev/null || continue; \
			python=$$("$$any" requirements/find_python.py); done; \
		"$${python:-false}" -c '$(IS_FIT)' || { \
		echo "Python 3.11 with its module venv is needed and was not found. On Debian and Ubuntu: apt install python3.11-venv. Or say where it is: make install PYTHON=/path/to/python3.11" >&2; exit 1; }; \
		"$$python" -m venv $(VENV) || { \
		echo "The virtual environment could not be made. On Debian and Ubuntu: apt install python3.11-venv" >&2; rm -rf $(VENV); exit 1; }; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	@touch $@

run: $(INSTALLED) ## serve everything on PORT (8000); Ctrl-C stops it
	@exec $(BIN)/python manage.py serve

demo: $(INSTALLED) ## make people and organizations to try out, while `make run` runs
	@$(BIN)/python manage.py demo

test: $(INSTALLED) ## run the tests; they bring their own MongoDB
	$(ALONE) $(BIN)/python -m pytest $(PYTEST_FLAGS)

check: $(INSTALLED) ## lint, types, layers, migrations, production settings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && set -ex && \
	$(ALONE) TENANTRY_HOME=$$home $(BIN)/python manage.py makemigrations --check --dry-run && \
	$(ALONE) TENANTRY_HOME=$$home TENANTRY_PRODUCTION=true ALLOWED_HOSTS=example.org \
		SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))') \
		$(BIN)/python manage.py check --deploy --fail-level WARNING

bench: $(INSTALLED) ## measure what requests, data and people cost, beside the same without the service
	$(ALONE) $(BIN)/python -m benchmarks.bench

drill: $(INSTALLED) ## rename, move and import under fire, and count what was lost
	@failed=0; \
	$(ALONE) $(BIN)/python -m benchmarks.rename_drill || failed=1; \
	$(ALONE) $(BIN)/python -m benchmarks.move_drill || failed=1; \
	$(ALONE) $(BIN)/python -m benchmarks.import_drill || failed=1; \
	exit $$failed

fuzz: $(INSTALLED) ## send the API what its OpenAPI document allows, and what it does not
	$(ALONE) $(BIN)/python -m benchmarks.fuzz
