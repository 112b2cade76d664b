# The front door. Each target is all the set-up there is: it installs missing packages (root or sudo), configures, builds,
# and does its job. Said twice, the second time finds nothing to install and nothing to build.
SHELL := /bin/bash
JOBS ?= $(shell nproc)
export CCACHE_NOHASHDIR := 1
export CCACHE_BASEDIR := $(CURDIR)
export NINJA_STATUS := [%f/%t] 

.PHONY: help build test bench demo asan fuzz corpus tidy lint format clean packages
.DEFAULT_GOAL := help

help: ## This list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

packages: ## Install the missing Debian packages
	@tools/install-packages

build: packages ## Build everything (build/release)
	@tools/build release

test: build ## Build, then run every test
	@ctest --test-dir build/release --output-on-failure -j $(JOBS)

demo: build ## Run real Windows programs and show what their threads did
	@tools/demo build/release

bench: build ## Build the benchmarks, run them, print one table (minutes; on an idle machine)
	@ninja -C build/release bench
	@for program in build/release/bench/*/bench_*; do if [[ -x $$program && -f $$program ]]; then $$program || exit 1; fi; done
	@bench/ke/compare-wine --build build/release

asan: packages ## Build with address and undefined-behaviour checks, then run every test
	@tools/build asan
	@ctest --test-dir build/asan --output-on-failure -j $(JOBS)

fuzz: packages ## Run each fuzz target for FUZZ_SECONDS (default 600)
	@tools/build asan
	@tools/fuzz build/asan $(or $(FUZZ_SECONDS),600)

corpus: build ## Run programs by third parties under Vitrine and wine64, and compare (CORPUS="--step 1 --cpus 4 ...")
	@tools/fetch-programs || (($$? == 77))
	@tests/corpus/run_corpus.py --vitrine build/release/src/vitrine $(CORPUS)

tidy: ## Check the house rules, without building
	@tools/tidy

lint: build ## Run clang-tidy 19 over src/ (minutes)
	@run-clang-tidy-19 -quiet -j $(JOBS) -p build/release '^$(CURDIR)/src/.*'

format: ## Format the C++ files
	@git ls-files '*.h' '*.cpp' | xargs clang-format-19 -i

clean: ## Remove build/
	@rm -rf build
