# coppice: the whole build. `make help` lists what it can do.
#
#   V=release|asan|tsan|emu|arm|fuzzer   which build; each has its own folder under build/ (OUT=FOLDER: another)
#   CC=gcc|clang   WERROR=1: warnings are errors

ifeq ($(origin CC),default)
CC      := gcc
endif
V       ?= release
VERSION := 0.1.0
PREFIX  ?= /usr/local
SHELL   := /bin/bash

# ---- variants -------------------------------------------------------------------------------
OUT_release := build
OUT := $(or $(OUT_$(V)),build/$(V))
PKGS := libpcre2-8 libutf8proc jansson libcurl libcrypto libarchive libxxhash libedit libdivsufsort

OPT_release := -O2
OPT_asan    := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT_tsan    := -O1 -fsanitize=thread
OPT_emu     := -O1 -DCOP_EMULATE
OPT_fuzzer  := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT_arm     := -O2
ARM_CC      := aarch64-linux-gnu-gcc
ARM_RUN     := qemu-aarch64-static

WARN   := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla \
          $(if $(WERROR),-Werror)
CFLAGS := -std=c11 -D_GNU_SOURCE -DCOP_VERSION='"$(VERSION)"' -g $(OPT_$(V)) $(WARN) -fPIC -fvisibility=hidden \
          -ffp-contract=off -fno-math-errno -fno-trapping-math -pthread -Iinclude -Isrc -Itests -MMD -MP
ifeq ($(V),arm)
CC      := $(ARM_CC)
CFLAGS  += -DCOP_MINI_CMOCKA
LDFLAGS += -static
else
CFLAGS  += $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LDLIBS  := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
CMOCKA  := -lcmocka
HTTP    := $(shell pkg-config --libs libmicrohttpd 2>/dev/null)
endif
LDLIBS  += -lm -pthread
LDFLAGS += $(filter -fsanitize%,$(OPT_$(V)))

# Kernels are compiled with their level's instructions and nothing else is.
ARCH := $(if $(filter arm,$(V)),aarch64,$(shell uname -m))
AVX2_FLAGS   := -mavx2 -mfma -mf16c
AVX512_FLAGS := $(AVX2_FLAGS) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni
ifeq ($(V),emu)
AVX512_FLAGS := $(AVX2_FLAGS) -Wno-psabi
endif
NEON_FLAGS   := -march=armv8.2-a+dotprod+fp16

# ---- files ----------------------------------------------------------------------------------
KERNELS := $(wildcard src/kernel/*.c src/kernel/scalar/*.c)
ifeq ($(ARCH),x86_64)
KERNELS += $(wildcard src/kernel/x86/*.c)
else ifeq ($(ARCH),aarch64)
KERNELS += $(wildcard src/kernel/arm/*.c)
endif
OTHERS  := $(wildcard $(addsuffix /*.c,$(addprefix src/,base format text cache model model/blocks tree draft verify \
             control guide engine search train surgery recipe)))
CLI     := $(wildcard src/cli/*.c)
SERVE   := $(wildcard src/serve/*.c)
PAGES   := $(wildcard web/*.html)
TESTS   := $(wildcard tests/unit/*.c tests/kernel/*.c tests/property/*.c tests/golden/*.c)
# What is fuzzed computes nothing but packed weights, and kernels take minutes to build under a sanitizer.
ifeq ($(V),fuzzer)
KERNELS := src/kernel/pack.c src/kernel/kv.c
endif
# The Arm build is what needs no library but the C library.
ARM_TESTS := $(wildcard tests/kernel/*.c tests/unit/maths.c tests/unit/noise.c)
ifeq ($(V),arm)
OTHERS  := $(wildcard src/base/*.c)
CLI     :=
SERVE   :=
PAGES   :=
TESTS   := $(ARM_TESTS)
endif
LIB     := $(KERNELS) $(OTHERS)
SUPPORT := $(if $(filter arm,$(V)),tests/support/weights.c,$(wildcard tests/support/*.c))
obj      = $(patsubst %.c,$(OUT)/obj/%.o,$(1))
LIB_O   := $(call obj,$(LIB))

.PHONY: all help
all: $(OUT)/coppice $(OUT)/libcoppice.a $(OUT)/libcoppice.so  ## build the command and the library

help:  ## list the targets
	@grep -hE '^[a-z -]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

$(OUT)/obj/%_avx2.o: LEVEL_FLAGS = $(AVX2_FLAGS) -O3 $(if $(findstring clang,$(CC)),,-fno-tree-reassoc)
$(OUT)/obj/%_avx512.o: LEVEL_FLAGS = $(AVX512_FLAGS) -O3
$(OUT)/obj/%_neon.o: LEVEL_FLAGS = $(NEON_FLAGS) -O3
$(OUT)/obj/src/kernel/quantise_search.o: LEVEL_FLAGS = -O3
$(OUT)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LEVEL_FLAGS) -c $< -o $@

$(OUT)/libcoppice.a: $(LIB_O)
	@rm -f $@
	ar rcs $@ $^
# The server is in the command and in tests, not in the library.
$(OUT)/libserve.a: $(call obj,$(SERVE))
	@rm -f $@
	ar rcs $@ $^
$(OUT)/libcoppice.so: $(LIB_O)
	$(CC) -shared -Wl,-soname,libcoppice.so.0 $(LDFLAGS) $^ $(LDLIBS) -o $@
# A page is built in as the text cop_page_NAME.
$(OUT)/obj/web/%.c: web/%.html tools/page_text
	@mkdir -p $(@D)
	@tools/page_text --c $< >$@
$(OUT)/obj/web/%.o: $(OUT)/obj/web/%.c
	$(CC) $(CFLAGS) -c $< -o $@
$(OUT)/coppice: $(call obj,$(CLI)) $(PAGES:web/%.html=$(OUT)/obj/web/%.o) $(call obj,$(KERNELS)) $(OUT)/libserve.a $(OUT)/libcoppice.a
	$(CC) $(LDFLAGS) $^ $(LDLIBS) $(HTTP) -o $@

# A test is one file and one process. The kernels are named because a weak reference pulls nothing
# out of an archive.
$(OUT)/tests/%: $(OUT)/obj/tests/%.o $(call obj,$(SUPPORT)) $(call obj,$(KERNELS)) $(OUT)/libserve.a $(OUT)/libcoppice.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ $(LDLIBS) $(HTTP) $(CMOCKA) -o $@

# A fuzzer is fuzz/NAME.c. With libFuzzer it searches, starting from fuzz/corpus/NAME; what it finds stays
# in build/fuzzer. With fuzz/replay.c it only runs its corpus, needs no fuzzer, and is part of the tests.
FUZZERS := $(filter-out replay,$(patsubst fuzz/%.c,%,$(wildcard fuzz/*.c)))
$(OUT)/fuzz/%: $(OUT)/obj/fuzz/%.o $(OUT)/obj/fuzz/replay.o $(OUT)/libserve.a $(OUT)/libcoppice.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@
$(OUT)/search/%: $(OUT)/obj/fuzz/%.o $(OUT)/libserve.a $(OUT)/libcoppice.a
	@mkdir -p $(@D)
	$(CC) -fsanitize=fuzzer $(LDFLAGS) $^ $(LDLIBS) -o $@

FUZZ_END := $(if $(RUNS),-runs=$(RUNS),-max_total_time=$(or $(SECONDS),60))
.PHONY: fuzz replay
fuzz:  ## search with one fuzzer: F=gguf, for a minute, SECONDS=n or RUNS=n
	@test -f fuzz/$(F).c || { echo "F=$(F): no fuzz/$(F).c; there are: $(FUZZERS)"; exit 2; }
	@tools/install_packages fuzz
	$(MAKE) V=fuzzer CC=clang build/fuzzer/search/$(F)
	@mkdir -p build/fuzzer/found/$(F) fuzz/corpus/$(F)
	build/fuzzer/search/$(F) -max_len=4096 -print_final_stats=1 $(FUZZ_END) \
	  -artifact_prefix=build/fuzzer/found/$(F)- build/fuzzer/found/$(F) fuzz/corpus/$(F)
replay: $(FUZZERS:%=$(OUT)/fuzz/%)  ## run the corpora of all fuzzers, without a fuzzer
	@for f in $(FUZZERS); do $(OUT)/fuzz/$$f fuzz/corpus/$$f || exit 1; done

# ---- tests: tools/run_tests runs each program on its own and counts --------------------------
PROGRAMS := $(TESTS:%.c=$(OUT)/%)
REPLAYS  := $(FUZZERS:%=$(OUT)/fuzz/%)
REPLAY   := $(foreach f,$(FUZZERS),"$(OUT)/fuzz/$(f) fuzz/corpus/$(f)")
SLOW     := $(addprefix $(OUT)/tests/,property/bits golden/real)
ALL_OR_T  = $(if $(T),$(foreach p,$(1),$(if $(findstring $(T),$(p:$(OUT)/tests/%=%)),$(p))),$(filter-out $(SLOW),$(1)))
THREADED := $(addprefix tests/,unit/threads unit/tokenizer unit/guide_mask property/session property/bits)
JOBS      = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))
EMULATED := $(addprefix tests/,kernel/product kernel/attention kernel/rows property/bits)
EMU      := $(if $(filter x86_64,$(ARCH)),$(if $(shell grep -m1 avx512_vnni /proc/cpuinfo),,"$(MAKE) -s --no-print-directory emu"))
.PHONY: check test test-arm asan ubsan tsan emu torture
check:  ## the fast tests; T=word: those whose name holds the word, as T=golden or T=unit/gguf
	@$(MAKE) -s --no-print-directory $(JOBS) $(call ALL_OR_T,$(PROGRAMS)) $(REPLAYS)
	@tools/run_tests $(call ALL_OR_T,$(PROGRAMS)) $(if $(T),,$(REPLAY))
test:  ## everything that must pass
	@$(MAKE) -s --no-print-directory $(JOBS) all $(PROGRAMS) $(REPLAYS)
	@tools/run_tests $(PROGRAMS) $(REPLAY) "tools/run_cli_tests $(OUT)" tools/lint tools/check_tour \
	  "$(MAKE) -s --no-print-directory test-arm" $(EMU)
test-arm:  ## cross-build the kernels for Arm and run their tests in an emulator
	@for tool in $(ARM_CC) $(ARM_RUN); do \
	  command -v $$tool >/dev/null || { echo "skipped: test-arm: no $$tool"; exit 0; }; done; \
	$(MAKE) -s --no-print-directory $(JOBS) V=arm CC=$(ARM_CC) OUT=$(OUT)/arm $(ARM_TESTS:%.c=$(OUT)/arm/%) && \
	for t in $(ARM_TESTS:%.c=$(OUT)/arm/%); do echo "$$t"; $(ARM_RUN) $$t || exit 1; done
asan ubsan:  ## the fast tests under the address and undefined-behaviour sanitizers
	@$(MAKE) -s --no-print-directory $(JOBS) V=asan OUT=$(OUT)/asan check
tsan:  ## the tests with threads under the thread sanitizer
	@$(MAKE) -s --no-print-directory $(JOBS) V=tsan OUT=$(OUT)/tsan $(THREADED:%=$(OUT)/tsan/%)
	@tools/run_tests $(patsubst %/bits,"%/bits tiny-gemma3-b tiny-q4_0",$(THREADED:%=$(OUT)/tsan/%))
emu:  ## AVX-512 by emulation; part of `make test` where the CPU lacks it
	@$(MAKE) -s --no-print-directory $(JOBS) V=emu OUT=$(OUT)/emu $(EMULATED:%=$(OUT)/emu/%)
	@tools/run_tests $(patsubst %/bits,"%/bits tiny-llama-b tiny-q4_k",$(EMULATED:%=$(OUT)/emu/%))
torture:  ## each allocation fails once, under a sanitizer
	@$(MAKE) -s --no-print-directory V=asan OUT=$(OUT)/asan T=torture check

COUNT := one two three four five six seven eight, one two three four five six seven eight, one two
.PHONY: demo docs
demo:  ## install what is missing, build, get the default model, and let it write
	@tools/install_packages build
	@$(MAKE) -s --no-print-directory $(JOBS) $(OUT)/coppice
	$(OUT)/coppice pull smollm2-135m
	$(OUT)/coppice run -m smollm2-135m --chat -p "Why is the sky blue?" -n 120 --stats
	@echo; echo "the same text plain and drafted:"
	$(OUT)/coppice run -m smollm2-135m -p "$(COUNT)" -n 96 --draft none --stats >/dev/null
	$(OUT)/coppice run -m smollm2-135m -p "$(COUNT)" -n 96 --stats >/dev/null
docs:  ## list the documents, after checking the names and links in them
	@tools/check_tour
	@grep -m1 -H '^# ' README.md CONTRIBUTING.md docs/*.md docs/decisions/*.md | sed 's/:# /\t/' | expand -t 52

.PHONY: lint fmt install uninstall
lint:  ## floors, banned calls, lengths, names, headers, links
	CC="$(CC)" tools/lint
fmt:  ## clang-format of the lines that differ from the last commit
	git clang-format --extensions c,h HEAD
D := $(DESTDIR)$(PREFIX)
COMMANDS = $(shell $(OUT)/coppice help | sed -n 's/^  coppice \([a-z]*\) .*/\1/p')
MAN      := $(D)/share/man/man1
BASH_DIR := $(D)/share/bash-completion/completions
ZSH_DIR  := $(D)/share/zsh/site-functions
FISH_DIR := $(D)/share/fish/vendor_completions.d
install: all  ## into PREFIX (/usr/local): command, library, header, pkg-config file, manual pages, completions
	install -d $(D)/bin $(D)/lib/pkgconfig $(D)/include
	install $(OUT)/coppice $(D)/bin
	install -m 644 include/coppice.h $(D)/include
	install -m 644 $(OUT)/libcoppice.a $(D)/lib
	install -m 644 $(OUT)/libcoppice.so $(D)/lib/libcoppice.so.$(VERSION)
	ln -sf libcoppice.so.$(VERSION) $(D)/lib/libcoppice.so.0
	ln -sf libcoppice.so.0 $(D)/lib/libcoppice.so
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|; s|@LIBS@|$(LDLIBS)|' coppice.pc.in >$(D)/lib/pkgconfig/coppice.pc
	install -d $(MAN) $(BASH_DIR) $(ZSH_DIR) $(FISH_DIR)
	$(OUT)/coppice man >$(MAN)/coppice.1
	for c in $(COMMANDS); do $(OUT)/coppice man $$c >$(MAN)/coppice-$$c.1 || exit 1; done
	$(OUT)/coppice completion bash >$(BASH_DIR)/coppice
	$(OUT)/coppice completion zsh >$(ZSH_DIR)/_coppice
	$(OUT)/coppice completion fish >$(FISH_DIR)/coppice.fish
uninstall:  ## what install put there
	rm -f $(D)/bin/coppice $(D)/include/coppice.h $(D)/lib/libcoppice.* $(D)/lib/pkgconfig/coppice.pc \
	  $(MAN)/coppice.1 $(MAN)/coppice-*.1 $(BASH_DIR)/coppice $(ZSH_DIR)/_coppice $(FISH_DIR)/coppice.fish

.PRECIOUS: $(OUT)/obj/%.o
-include $(shell find $(OUT)/obj -name '*.d' 2>/dev/null)
