# The ways in; CMake and Ninja do the work, scripts/setup gets what they need. `make help` lists them.
.PHONY: all deb nar demo test unit asan tsan valgrind sim fuzz lint format bench clean help

SEEDS ?= 2000
FROM ?= 1

all: ## the programs, build/ddb2pulsar and build/ddb2pulsar-perf
	scripts/setup build
	cmake --preset release > /dev/null
	cmake --build build --target ddb2pulsar ddb2pulsar-perf

deb: all ## the Debian package, build/ddb2pulsar_VERSION_ARCHITECTURE.deb
	scripts/setup deb
	cpack --config build/CPackConfig.cmake -B build

nar: all ## the archive for Pulsar IO, build/nar/pulsar-io-ddb2pulsar.nar
	scripts/setup nar
	nar/build build/ddb2pulsar build/nar

demo: all ## see it work between a DynamoDB Local and a Pulsar (KEEP=1 leaves them running)
	scripts/setup servers
	KEEP='$(KEEP)' scripts/demo

test: ## all tests; the last line is their count
	scripts/test

unit: ## unit tests, optimised and with ASan and UBSan
	scripts/test unit

asan tsan valgrind: ## unit tests with ASan and UBSan; with TSan; under valgrind
	scripts/test $@

sim: ## the source's seeded simulation; SEEDS=2000 from FROM=1 on (SEEDS=1 FROM=4711 replays one)
	scripts/setup unit
	cmake --preset release > /dev/null
	cmake --build build --target test_source_sim
	build/unit/test_source_sim $(FROM) $(SEEDS)

fuzz: ## fuzz targets, FUZZ_SECONDS=20 for each
	scripts/test fuzz

lint: ## formatting, clang-tidy, layers, shell scripts
	scripts/lint

format: ## format all C files
	scripts/lint format

bench: ## measure
	scripts/setup servers
	scripts/setup nar
	cmake --preset release > /dev/null
	cmake --build build
	bench/run

clean: ## delete what was built; the cache folder stays
	rm -rf build build-*

help: ## this list
	@sed -n 's/^\([a-z ]*\):[a-z ]*## \(.*\)/\1: \2/p' Makefile
