# make run     the product: an OpCenter, a gateway and a JupyterLab in this terminal; Ctrl-C ends it
# make test    every test that this machine can run; says which were skipped, and why
# make check   ruff, mypy, tsc, and the tests that keep the house in order
# make bench   floatgate beside its peers, a quarter of an hour; writes docs/performance.md (ARGS=--quick: three minutes);
#              then the zero-loss tests in their long form, five minutes more
# make clean   delete what make has made in this folder (sessions are kept: they are not in here)
#
# make run ARGS="--ports 20000:20050" passes options on to float up.

.PHONY: run test check bench clean
.DEFAULT_GOAL := run
ARGS ?=

run:
	@. .ci/env.sh; environment run jupyter,criu; capsules || true; exec .venv/bin/float up $(ARGS)

test:
	@. .ci/env.sh; environment test jupyter,criu,postgresql,test,check; capsules || lacking criu; browser || lacking chromium; firefox || lacking firefox; scripts || lacking npm; shiny || lacking shiny; database || lacking postgresql; \
	run_tests $(ARGS)

check:
	@. .ci/env.sh; environment test jupyter,criu,postgresql,test,check; check

bench:
	@. .ci/env.sh; environment test jupyter,criu,postgresql,test,check; bench --write $(ARGS)

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
