# SPDX-License-Identifier: Apache-2.0
# Dispatch: dispatchd, dispatch-runner and their client dispatchctl, over one common library.
#   make            the programs             make demo    watch a prompt become a pull request
#   make test       all tests                make lint    format, layers, clang-tidy, cppcheck
#   make help       everything else

ifeq ($(origin CC),default)
CC := gcc
endif
BUILD ?= build
SANITIZE ?=
COVERAGE ?=
VERSION := $(shell cat VERSION)
# V=1 shows the commands.
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-6s %s\n' $(1) $(2))

# Debian packages that a build or a test run needs; hack/packages installs what is missing.
ifneq ($(filter-out help format clean images bench-readme,$(or $(MAKECMDGOALS),all)),)
ifndef SKIP_PACKAGES
PACKAGE_GROUPS := $(filter lint format-check valgrind bench fuzz analyze e2e,$(MAKECMDGOALS)) \
    $(if $(filter bench-runner bench-kubernetes bench-grow bench-compare,$(MAKECMDGOALS)),bench) \
    $(if $(filter bench-compare,$(MAKECMDGOALS)),valgrind) \
    $(if $(filter torture torture-short e2e-kubernetes contract-table,$(MAKECMDGOALS)),e2e) \
    $(if $(filter e2e e2e-agents,$(MAKECMDGOALS)),openapi) \
    $(if $(filter e2e e2e-docker contract-table,$(MAKECMDGOALS))$(and $(filter demo,$(MAKECMDGOALS)),$(filter docker,$(LAUNCHER))),docker)
PACKAGES_READY := $(shell CC="$(CC)" hack/packages $(PACKAGE_GROUPS) >&2 && echo yes)
ifneq ($(PACKAGES_READY),yes)
$(error packages are missing, see above)
endif
endif
endif

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
    -Wold-style-definition -Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla -Wformat=2 \
    -Wnull-dereference -Wundef -Werror
ifneq ($(COVERAGE),)
HARDENING := -O0 --coverage -fprofile-update=atomic
LINK_HARDENING := --coverage
else ifeq ($(SANITIZE),)
HARDENING := -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong \
    -fstack-clash-protection -fcf-protection=full -ftrivial-auto-var-init=zero \
    -fno-delete-null-pointer-checks -fPIE
LINK_HARDENING := -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code -Wl,--as-needed
ifneq ($(findstring clang,$(CC)),)
HARDENING += -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang
endif
else
# Instrumented code makes gcc see uninitialised variables where there are none.
HARDENING := $(if $(findstring clang,$(CC)),,-Wno-maybe-uninitialized) -O1 -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
LINK_HARDENING := -fsanitize=$(SANITIZE)
endif

LIBRARIES := libcurl libcjson openssl libmicrohttpd yaml-0.1 sqlite3
LIBRARY_CFLAGS := $(shell pkg-config --cflags $(LIBRARIES) 2>/dev/null)
COMMON_LIBS := $(shell pkg-config --libs libcurl libcjson openssl yaml-0.1 2>/dev/null) -lpthread
CONTROLPLANE_LIBS := $(shell pkg-config --libs libmicrohttpd sqlite3 2>/dev/null) $(COMMON_LIBS)
RUNNER_LIBS := $(shell pkg-config --libs libmicrohttpd 2>/dev/null) $(COMMON_LIBS)

CPPFLAGS += -D_GNU_SOURCE -DDISPATCH_VERSION='"$(VERSION)"' -Icommon $(LIBRARY_CFLAGS)
CFLAGS += -std=gnu11 -g $(WARNINGS) $(HARDENING)
LDFLAGS += $(LINK_HARDENING)

COMMON_SOURCES := $(wildcard common/*/*.c)
CONTROLPLANE_SOURCES := $(filter-out controlplane/main.c controlplane/dispatchctl/%,$(wildcard controlplane/*/*.c))
DISPATCHCTL_SOURCES := $(filter-out %/main.c,$(wildcard controlplane/dispatchctl/*.c))
RUNNER_SOURCES := $(wildcard runner-image/*/*.c)
SUPPORT_SOURCES := $(wildcard tests/support/*.c)
UNIT_SOURCES := $(wildcard tests/unit/*/test_*.c)
CONTRACT_SOURCES := $(wildcard tests/contract/test_*.c)
API_SOURCES := $(wildcard tests/api/test_*.c)
BENCH_SOURCES := $(wildcard tests/bench/*.c)
FUZZ_SOURCES := $(wildcard tests/fuzz/fuzz_*.c)
TORTURE_SOURCES := $(wildcard tests/torture/*.c)

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
tests = $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNIT_SOURCES)) \
    $(patsubst tests/%.c,$(BUILD)/tests/%,$(CONTRACT_SOURCES) $(API_SOURCES))

.PHONY: all install help demo images test check e2e e2e-agents e2e-docker e2e-kubernetes contract-table bench bench-compare bench-readme bench-grow bench-runner bench-kubernetes \
    torture torture-short fuzz coverage coverage-run mutations analyze lint format format-check \
    check-layers asan tsan valgrind test-clang clean
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BUILD)/dispatchd $(BUILD)/dispatch-runner $(BUILD)/dispatchctl

help:
	@sed -n '2,6p' Makefile | sed 's/^# //'
	@echo '  make asan | tsan | valgrind   the tests under a checker'
	@echo '  make e2e     the slow end-to-end suites; as root, on a real Kubernetes as well'
	@echo '  make e2e-kubernetes   that part alone; tests/e2e/kubernetes/run says on which cluster'
	@echo '  make e2e-docker   the launchers over podman, behind the API of a Docker Engine'
	@echo '  make contract-table   what holds with each launcher, on a real engine and cluster as well'
	@echo '  make e2e-agents   the real coding agents against a scripted model'
	@echo '  make bench   intake beside the floor, launching, tracking, memory: each beside its target'
	@echo '  make bench-compare BASE=rev   is the intake of this tree faster than that of another?'
	@echo '  make bench-readme   puts what was measured into README.md'
	@echo '  make bench-grow   the same requests with a thousand and with a million kept runs'
	@echo '  make bench-runner   what the runner costs beside plain git and curl'
	@echo '  make bench-kubernetes   Jobs launched per second beside a bare client'
	@echo '  make torture | torture-short   every fault there is a row for, and what held'
	@echo '  make fuzz    each parser for a minute (FUZZ_SECONDS=n)'
	@echo '  make coverage   the lines that the tests run through, by folder'
	@echo '  make mutations   guards taken out, one after the other: does a test see it?'
	@echo '  make analyze   gcc -fanalyzer and clang over everything; takes a while'
	@echo '  make format  put the sources into shape'
	@echo '  make images  both container images, and archives of them; hack/images says what can be set'
	@echo '  make install  programs, man page and completions under PREFIX=/usr/local, in DESTDIR'
	@echo '  make test TEST=json/test_json   one test program; T=test_name picks in it'

# --- Building -----------------------------------------------------------------------------

# Objects of another compiler or other flags are made anew: the file changes only with them.
ifneq ($(filter-out help format clean images bench-readme,$(or $(MAKECMDGOALS),all)),)
$(shell mkdir -p $(BUILD))
$(file >$(BUILD)/flags.now,$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS))
$(shell cmp -s $(BUILD)/flags.now $(BUILD)/flags || cp $(BUILD)/flags.now $(BUILD)/flags)
endif
$(BUILD)/flags:

$(BUILD)/obj/%.o: %.c Makefile $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(INCLUDES) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/obj/controlplane/%.o: INCLUDES = -Icontrolplane
$(BUILD)/obj/runner-image/%.o: INCLUDES = -Irunner-image
$(BUILD)/obj/tests/%.o: INCLUDES = -Icontrolplane -Irunner-image -Itests/support -Itests/fuzz

$(BUILD)/libcommon.a: $(call objects,$(COMMON_SOURCES))
$(BUILD)/libcontrolplane.a: $(call objects,$(CONTROLPLANE_SOURCES)) $(BUILD)/obj/gen/migrations.o \
    $(BUILD)/obj/gen/openapi.o
$(BUILD)/libdispatchctl.a: $(call objects,$(DISPATCHCTL_SOURCES))
$(BUILD)/librunner.a: $(call objects,$(RUNNER_SOURCES)) $(BUILD)/obj/gen/model_prices.o
$(BUILD)/libsupport.a: $(call objects,$(SUPPORT_SOURCES))
$(BUILD)/%.a:
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

# The folder of migrations as an array. Its list changes the array, too: a file that came with an
# older date wouldn't.
MIGRATIONS := $(sort $(wildcard controlplane/store/migrations/*.sql))
ifneq ($(wildcard $(BUILD)/flags),)
$(file >$(BUILD)/migrations.now,$(MIGRATIONS))
$(shell cmp -s $(BUILD)/migrations.now $(BUILD)/migrations || cp $(BUILD)/migrations.now $(BUILD)/migrations)
endif
$(BUILD)/migrations:
$(BUILD)/gen/migrations.c: $(MIGRATIONS) hack/embed-migrations $(BUILD)/migrations
	@mkdir -p $(@D)
	$(Q)hack/embed-migrations $(MIGRATIONS) > $@
# The API's description, as GET /openapi.yaml serves it.
$(BUILD)/gen/openapi.c: controlplane/api/openapi.yaml hack/embed-file
	@mkdir -p $(@D)
	$(Q)hack/embed-file api/openapi.h openapi_yaml $< > $@
# What models cost.
$(BUILD)/gen/model_prices.c: runner-image/gateway/prices.yaml hack/embed-file
	@mkdir -p $(@D)
	$(Q)hack/embed-file gateway/prices_data.h model_prices_yaml $< > $@
$(BUILD)/obj/gen/%.o: $(BUILD)/gen/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -Icontrolplane -Irunner-image $(CFLAGS) -c -o $@ $<

$(BUILD)/dispatchd: $(BUILD)/obj/controlplane/main.o $(BUILD)/libcontrolplane.a $(BUILD)/libcommon.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CONTROLPLANE_LIBS)
$(BUILD)/dispatch-runner: $(BUILD)/obj/runner-image/main.o $(BUILD)/librunner.a $(BUILD)/libcommon.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(RUNNER_LIBS)
# Of the control plane's library it takes model/ only, so that it needs no database.
$(BUILD)/dispatchctl: $(BUILD)/obj/controlplane/dispatchctl/main.o $(BUILD)/libdispatchctl.a \
    $(BUILD)/libcontrolplane.a $(BUILD)/libcommon.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(COMMON_LIBS)

TEST_LIBRARIES := $(BUILD)/libsupport.a $(BUILD)/libdispatchctl.a $(BUILD)/libcontrolplane.a $(BUILD)/librunner.a \
    $(BUILD)/libcommon.a
$(BUILD)/tests/contract/%: $(BUILD)/obj/tests/contract/%.o $(TEST_LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CONTROLPLANE_LIBS) -lcmocka
$(BUILD)/tests/api/%: $(BUILD)/obj/tests/api/%.o $(TEST_LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CONTROLPLANE_LIBS) -lcmocka
$(BUILD)/tests/%: $(BUILD)/obj/tests/unit/%.o $(TEST_LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CONTROLPLANE_LIBS) -lcmocka
$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(TEST_LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CONTROLPLANE_LIBS)

$(BUILD)/torture/%: $(BUILD)/obj/tests/torture/%.o $(TEST_LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CONTROLPLANE_LIBS)

# What is laid under dispatchd (LD_PRELOAD) to break it; without a checker, which would have to
# come first.
TORTURE_PRELOADS := $(patsubst tests/torture/preload/%.c,$(BUILD)/torture/%.so,$(wildcard tests/torture/preload/*.c))
$(BUILD)/torture/%.so: tests/torture/preload/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) -D_GNU_SOURCE -std=gnu11 -O2 -g $(WARNINGS) -fPIC -shared -o $@ $< -ldl

# A fuzz target whose memory runs out, and the store in the same way.
MEMORY_OBJECTS := $(call objects,$(addprefix tests/torture/memory/,failing_malloc.c shortage.c))
NO_MEMORY := $(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/torture/no_memory_%,$(FUZZ_SOURCES)) $(BUILD)/torture/no_memory_store
$(BUILD)/torture/no_memory_store: $(BUILD)/obj/tests/torture/memory/store.o $(MEMORY_OBJECTS) $(TEST_LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CONTROLPLANE_LIBS)
$(BUILD)/torture/no_memory_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/obj/tests/torture/memory/parsers.o $(MEMORY_OBJECTS) $(TEST_LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CONTROLPLANE_LIBS) -lcmocka

# Every input a fuzzer ever found is run again by `make test`, with any compiler.
REPLAYS := $(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/replay/%,$(FUZZ_SOURCES))
$(BUILD)/replay/%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/obj/tests/fuzz/replay.o $(TEST_LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CONTROLPLANE_LIBS) -lcmocka
# The same with libFuzzer's main, for `make fuzz`.
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/fuzzers/%,$(FUZZ_SOURCES))
$(BUILD)/fuzzers/%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(TEST_LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(CONTROLPLANE_LIBS) -lcmocka

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

# --- Testing ------------------------------------------------------------------------------

TESTS = $(if $(TEST),$(BUILD)/tests/$(TEST),$(call tests))

# What suites start beside the products.
SUITE_PROGRAMS := $(BUILD)/torture/resum

test: all $(TESTS) $(REPLAYS) $(if $(TEST),,$(SUITE_PROGRAMS))
ifeq ($(TEST),)
	@for replay in $(REPLAYS); do \
	    printf '%s: ' "$$replay"; $$replay tests/fuzz/corpus/$$(basename $$replay)/* || exit 1; done
endif
	@BUILD=$(BUILD) tests/run $(TESTS)
ifeq ($(TEST),)
	@BUILD=$(BUILD) tests/run-e2e $(if $(SANITIZE),--checked,--short)
endif

e2e: all $(SUITE_PROGRAMS)
	@BUILD=$(BUILD) E2E_AFTER_TEST=$(E2E_AFTER_TEST) tests/run-e2e --full
# The coding agents themselves, from npm, against a scripted model; AGENTS='opencode plans' picks.
e2e-agents: all
	@BUILD=$(BUILD) PYTHONDONTWRITEBYTECODE=1 tests/e2e/agents/test_agents.py $(AGENTS)
# The launchers' contract over a real Docker Engine API: podman's, or the one of TEST_ENGINE.
DOCKER_TESTS := $(BUILD)/tests/contract/test_launcher_contract $(BUILD)/tests/contract/test_docker_launcher
e2e: $(DOCKER_TESTS)
e2e-docker: all $(DOCKER_TESTS)
	@BUILD=$(BUILD) tests/e2e/docker/run
# On a cluster alone; tests/e2e/kubernetes/run says on which.
KUBERNETES_TESTS := $(BUILD)/tests/contract/test_launcher_contract $(BUILD)/tests/contract/test_kubernetes_launcher \
    $(BUILD)/tests/contract/test_kubernetes_server
e2e: $(KUBERNETES_TESTS)
e2e-kubernetes: $(KUBERNETES_TESTS)
	@BUILD=$(BUILD) tests/e2e/kubernetes/run
# Every launcher's contract, case by case, real ones too.
contract-table: all $(patsubst tests/%.c,$(BUILD)/tests/%,$(CONTRACT_SOURCES))
	@BUILD=$(BUILD) tests/contract/table --engine --cluster

asan:
	$(MAKE) BUILD=build/asan SANITIZE=address,undefined test
tsan:
	$(MAKE) BUILD=build/tsan SANITIZE=thread test
test-clang:
	$(MAKE) BUILD=build/clang CC=clang test
# Those that compute; the ones that mostly wait for clocks and processes have asan and tsan.
VALGRIND_TESTS = $(foreach folder,base json yaml crypto config model,\
    $(filter $(BUILD)/tests/$(folder)/%,$(call tests)))
valgrind: $(VALGRIND_TESTS)
	@BUILD=$(BUILD) tests/run --valgrind $(VALGRIND_TESTS)

bench: all $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(BENCH_SOURCES))
	@BUILD=$(BUILD) tests/bench/run
# BASE: a revision.
bench-compare: all $(BUILD)/bench/load
	@BUILD=$(BUILD) CC='$(CC)' tests/bench/compare $(or $(BASE),$(error BASE=revision is missing))
bench-readme:
	@BUILD=$(BUILD) tests/bench/readme
bench-grow: all $(SUITE_PROGRAMS)
	@BUILD=$(BUILD) tests/bench/grow
bench-runner: all $(BUILD)/bench/gateway
	@BUILD=$(BUILD) tests/bench/runner
	@$(BUILD)/bench/gateway
bench-kubernetes: all $(BUILD)/bench/kubernetes_floor
	@BUILD=$(BUILD) tests/bench/kubernetes

# TORTURE='14 17' picks rows.
TORTURE_PROGRAMS := $(patsubst tests/torture/%.c,$(BUILD)/torture/%,$(TORTURE_SOURCES)) $(TORTURE_PRELOADS) $(NO_MEMORY) \
    $(BUILD)/bench/load
torture torture-short: all $(TORTURE_PROGRAMS)
	@BUILD=$(BUILD) tests/torture/run $(if $(filter torture,$@),--full,--short) $(TORTURE)
e2e: $(TORTURE_PROGRAMS)

# FUZZ='http json' picks targets. Everything they stand on is built for them, once.
FUZZ_SECONDS ?= 60
FUZZ ?= $(patsubst tests/fuzz/fuzz_%.c,%,$(FUZZ_SOURCES))
FUZZ_BUILD := build/fuzz
fuzz:
	@$(MAKE) BUILD=$(FUZZ_BUILD) CC=clang SANITIZE=fuzzer-no-link,address,undefined \
	    $(addprefix $(FUZZ_BUILD)/fuzzers/,$(FUZZ))
	@BUILD=$(FUZZ_BUILD) FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run $(FUZZ)

# What the tests run through, built without optimisation for it; MISSED=controlplane/store names
# the lines of a folder that nothing does.
coverage:
	@$(MAKE) BUILD=build/coverage COVERAGE=1 coverage-run
coverage-run: all $(call tests) $(REPLAYS) $(SUITE_PROGRAMS)
	@BUILD=$(BUILD) MISSED=$(MISSED) tests/coverage $(call tests)

# A guard taken out in a copy of the tree: its test has to fail. MUTATIONS='token_hash' picks.
mutations:
	@tests/torture/mutations $(if $(SHORT),--short) $(MUTATIONS)

demo: all
	@BUILD=$(BUILD) LAUNCHER=$(LAUNCHER) hack/demo

# --- Installing ---------------------------------------------------------------------------

PREFIX ?= /usr/local
BINDIR = $(DESTDIR)$(PREFIX)/bin
SHARE = $(DESTDIR)$(PREFIX)/share
COMPLETIONS = $(SHARE)/bash-completion/completions

# kubectl finds its plugins by their names. What completes is asked of the program itself.
install: all
	install -d $(BINDIR) $(SHARE)/man/man1 $(COMPLETIONS) $(SHARE)/zsh/site-functions \
	    $(SHARE)/fish/vendor_completions.d
	install -m 755 $(BUILD)/dispatchd $(BUILD)/dispatch-runner $(BUILD)/dispatchctl $(BINDIR)
	ln -sf dispatchctl $(BINDIR)/kubectl-dispatch
	install -m 644 controlplane/dispatchctl/dispatchctl.1 $(SHARE)/man/man1
	ln -sf dispatchctl.1 $(SHARE)/man/man1/kubectl-dispatch.1
	$(BUILD)/dispatchctl completion bash > $(COMPLETIONS)/dispatchctl
	ln -sf dispatchctl $(COMPLETIONS)/kubectl-dispatch
	$(BUILD)/dispatchctl completion zsh > $(SHARE)/zsh/site-functions/_dispatchctl
	$(BUILD)/dispatchctl completion fish > $(SHARE)/fish/vendor_completions.d/dispatchctl.fish

# --- Images -------------------------------------------------------------------------------

AGENT_PACKAGES ?=
images:
	@BUILD=$(BUILD) AGENT_PACKAGES='$(AGENT_PACKAGES)' hack/images

# --- Linting ------------------------------------------------------------------------------

C_FILES := $(shell git ls-files -co --exclude-standard '*.c' '*.h' 2>/dev/null)
SCRIPTS := $(shell git grep -lI --untracked -E '^\#!/(usr/bin/env (ba)?sh|bin/(ba)?sh)' -- hack tests .ci 2>/dev/null)

format:
	@clang-format -i $(C_FILES)
format-check:
	@clang-format --dry-run --Werror $(C_FILES)
check-layers:
	hack/check-layers --self-test
	hack/check-layers
lint: format-check check-layers $(BUILD)/gen/migrations.c
	tests/run --self-test
	hack/check-security-md --self-test
	hack/check-security-md
	@BUILD=$(BUILD) hack/lint-tidy $(COMMON_SOURCES) $(CONTROLPLANE_SOURCES) controlplane/main.c $(wildcard controlplane/dispatchctl/*.c) $(RUNNER_SOURCES) runner-image/main.c
	cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
	    --inline-suppr --suppressions-list=hack/cppcheck-suppressions -D_GNU_SOURCE \
	    -DDISPATCH_VERSION='""' -Icommon -Icontrolplane -Irunner-image common controlplane runner-image
	shellcheck -x $(SCRIPTS)
	mandoc -T lint -W warning controlplane/dispatchctl/dispatchctl.1

# gcc's and clang's analyzers, file by file.
analyze:
	@BUILD=$(BUILD) hack/analyze $(COMMON_SOURCES) $(CONTROLPLANE_SOURCES) controlplane/main.c $(wildcard controlplane/dispatchctl/*.c) $(RUNNER_SOURCES) runner-image/main.c

clean:
	rm -rf $(BUILD)
