# castbucket: build, demonstrate, check, measure, install.
#
#   make demo      set up, build, and show one recorded session from end to end
#   make check     set up, build, and run every test
#   make check-sanitize, check-valgrind, check-faults    the longer runs
#   make check-install   the packages, on clean Debians (SUITES="bookworm trixie rpm"); needs root
#   make fuzz      SECONDS=60 (for each target), TARGETS="xml seal"
#   make bench     measure
#   make install   DESTDIR= PREFIX=/usr/local
#   make deb       packages for Debian, into build/deb
#   make rpm       packages for Fedora and RHEL, into build/rpm
#   make           build into build/ (BUILD=dir for another place)
#
#   SANITIZE=address,undefined | thread   build with sanitizers (into build-address, build-thread)
#   CC=clang                              build with clang

VERSION := 0.1.0
PREFIX ?= /usr/local
SANITIZE ?=
BUILD ?= build$(if $(SANITIZE),-$(firstword $(subst $(comma), ,$(SANITIZE))))
comma := ,

CFLAGS ?= -O2 -g
# Empty for compilers that warn of more than those that this is developed with.
WERROR ?= -Werror
CPPFLAGS += -I. -D_GNU_SOURCE -DCASTBUCKET_VERSION='"$(VERSION)"'
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wcast-qual -Wvla $(WERROR)
ALL_CFLAGS := -std=c17 -fPIC -fvisibility=hidden -fno-common -pthread $(WARNINGS) $(CFLAGS)
ifdef SANITIZE
ALL_CFLAGS += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
ALL_LDFLAGS := -fsanitize=$(SANITIZE)
else
ALL_CFLAGS += -fstack-protector-strong
# Ubuntu's packages ask for 3.
ALL_CFLAGS += $(if $(findstring _FORTIFY_SOURCE,$(CFLAGS) $(CPPFLAGS)),,-D_FORTIFY_SOURCE=2)
ALL_LDFLAGS := -Wl,-z,defs
endif
ALL_LDFLAGS += -pthread -Wl,--as-needed -Wl,-z,relro -Wl,-z,now $(LDFLAGS)
SHARED := -shared -Wl,-z,nodelete -Wl,--exclude-libs,ALL

# The recorder's libraries; --as-needed leaves out of each program what it does not use.
LIBS := -lcurl -lcrypto -lz -ljansson -lexpat

objects = $(patsubst %.c,$(BUILD)/%.o,$(wildcard $(1)))
RECORDER := $(call objects,$(patsubst %,recorder/%/*.c,\
	base cast journal settings transfer seal spool aws store upload read service))
PRODUCTS := $(BUILD)/castbucket.so $(BUILD)/castbucket-recorder.so $(BUILD)/castbucket \
	$(BUILD)/castbucket-proxy $(BUILD)/castbucket-shell $(BUILD)/castbucket_io.so
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
BENCHES := $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,$(wildcard tests/bench/bench_*.c))
MAN_PAGES := $(patsubst pkg/man/%.scd,$(BUILD)/man/%,$(wildcard pkg/man/*.scd))
JOBS ?= $(shell nproc)
SUBMAKE = @$(MAKE) --no-print-directory -s -j$(JOBS)
RUN = @BUILD=$(BUILD)

all: $(PRODUCTS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libcastbucket.a: $(RECORDER)
	@rm -f $@
	$(AR) rcs $@ $^

# What a host loads. Only the journal's half: start() loads castbucket-recorder.so beside it.
$(BUILD)/castbucket.so: $(call objects,plugin/*.c) $(BUILD)/libcastbucket.a
	$(CC) $(SHARED) $(ALL_LDFLAGS) $^ $(LIBS) -o $@

$(BUILD)/castbucket-recorder.so: $(BUILD)/recorder/service/library.o $(BUILD)/libcastbucket.a
	$(CC) $(SHARED) $(ALL_LDFLAGS) $^ $(LIBS) -o $@

$(BUILD)/castbucket: $(call objects,recorder/cli/*.c) $(BUILD)/libcastbucket.a
	$(CC) $(ALL_LDFLAGS) $^ $(LIBS) -o $@

# Takes the template in with .incbin, which -MMD does not see.
$(BUILD)/recorder/cli/cloudformation.o: pkg/aws/castbucket.yaml

$(BUILD)/castbucket-proxy: $(call objects,hooks/proxy/*.c hooks/common/*.c)
	$(CC) $(ALL_LDFLAGS) $^ -lssh -lconfuse -lcrypto -o $@

$(BUILD)/castbucket-shell: $(call objects,hooks/shell/*.c hooks/common/*.c)
	$(CC) $(ALL_LDFLAGS) $^ -lutil -o $@

$(BUILD)/castbucket_io.so: $(call objects,hooks/sudo/*.c hooks/common/*.c)
	$(CC) $(SHARED) $(ALL_LDFLAGS) $^ -o $@

# Where a host looks for the plugin that it was not told of.
$(BUILD)/hooks/sudo/%.o $(BUILD)/hooks/shell/%.o: CPPFLAGS += -DCASTBUCKET_LIBDIR='"$(PREFIX)/lib/castbucket"'

# What several unit tests share: every file there that is not itself a test.
TEST_SUPPORT := $(patsubst %.c,$(BUILD)/%.o,\
	$(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c)))

$(BUILD)/tests/unit/libsupport.a: $(TEST_SUPPORT)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/tests/unit/libsupport.a \
		$(BUILD)/libcastbucket.a
	$(CC) $(ALL_LDFLAGS) $^ $(LIBS) -lssl -lcmocka -o $@

# Its calls can be made to fail: tests/unit/fault_injection.h.
WRAPPED := malloc calloc realloc reallocarray strdup strndup read pread \
	write pwrite fsync fdatasync ftruncate fallocate fchmod fstat \
	fstatat flock mkdirat mkdir unlinkat renameat renameat2 linkat \
	mmap madvise fdopendir open openat
$(BUILD)/tests/unit/test_torture: $(BUILD)/tests/unit/test_torture.o $(call objects,plugin/*.c) \
		$(BUILD)/tests/unit/libsupport.a $(BUILD)/libcastbucket.a
	$(CC) $(ALL_LDFLAGS) $(WRAPPED:%=-Wl,--wrap=%) $^ $(LIBS) -lcmocka -o $@

$(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(BUILD)/libcastbucket.a
	$(CC) $(ALL_LDFLAGS) $^ $(LIBS) -o $@

# A fuzz target is driven by libFuzzer (FUZZER=1, with clang) or by replay.c, over its corpus.
FUZZ := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SUPPORT := $(patsubst %,$(BUILD)/tests/fuzz/%.o,support made_journal $(if $(FUZZER),,replay))
FUZZ_LINK = $(CC) $(ALL_LDFLAGS) $(if $(FUZZER),-fsanitize=fuzzer) $^

$(BUILD)/tests/fuzz/fuzz_proxy_%: $(BUILD)/tests/fuzz/fuzz_proxy_%.o $(FUZZ_SUPPORT) \
		$(patsubst %,$(BUILD)/hooks/proxy/%.o,config config_address \
		authorized_keys key_options address_patterns) \
		$(BUILD)/libcastbucket.a
	$(FUZZ_LINK) -lssh -lconfuse -o $@

$(BUILD)/tests/fuzz/fuzz_shell: $(BUILD)/tests/fuzz/fuzz_shell.o $(FUZZ_SUPPORT) \
		$(patsubst %,$(BUILD)/hooks/shell/%.o,authentication configuration request sftp) \
		$(BUILD)/libcastbucket.a
	$(FUZZ_LINK) $(LIBS) -o $@

$(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(FUZZ_SUPPORT) $(BUILD)/libcastbucket.a
	$(FUZZ_LINK) $(LIBS) -o $@

$(BUILD)/tests/fuzz/fuzz_aws_answers: ALL_LDFLAGS += -Wl,--wrap=http_perform

# Hosts and other programs that the fault tests drive.
FAULT_PROGRAMS := $(patsubst tests/faults/%.c,$(BUILD)/tests/faults/%,$(wildcard tests/faults/*.c)) \
	$(BUILD)/tests/faults/power_loss

# Its disk is simulated: tests/faults/power/simulated_disk.h.
SIMULATED := ftruncate fallocate mkdirat unlinkat linkat renameat renameat2 openat fsync \
	fdatasync syncfs
$(BUILD)/tests/faults/power_loss: $(call objects,tests/faults/power/*.c) $(BUILD)/libcastbucket.a
	$(CC) $(ALL_LDFLAGS) $(SIMULATED:%=-Wl,--wrap=%) $^ $(LIBS) -o $@

$(BUILD)/tests/faults/%: $(BUILD)/tests/faults/%.o $(call objects,hooks/common/*.c) \
		$(BUILD)/libcastbucket.a
	$(CC) $(ALL_LDFLAGS) $^ $(LIBS) -o $@

$(BUILD)/man/%: pkg/man/%.scd
	@mkdir -p $(@D)
	scdoc < $< > $@

$(BUILD)/tests/unit/test_plugin $(BUILD)/tests/unit/test_plugin_abuse: | \
		$(BUILD)/castbucket.so $(BUILD)/castbucket-recorder.so

unit: $(UNIT_TESTS)

fuzz-targets: $(FUZZ)

man: $(MAN_PAGES)

fault-programs: $(FAULT_PROGRAMS)

# Each first installs what is missing (tests/setup says what and why), then builds.
demo:
	@tests/setup demo
	$(SUBMAKE) all
	$(RUN) tests/demo

check:
	@tests/setup check
	$(SUBMAKE) all unit fuzz-targets fault-programs benches man
	$(SUBMAKE) SANITIZE=address,undefined BUILD=build-address unit fuzz-targets
	$(SUBMAKE) SANITIZE=thread BUILD=build-thread unit
	$(RUN) tests/check format layers exports unit unit:build-address unit:build-thread \
		fuzz fuzz:build-address integration

check-format check-layers:
	$(RUN) tests/check $(@:check-%=%)

check-exports: $(BUILD)/castbucket.so $(BUILD)/castbucket-recorder.so $(BUILD)/castbucket_io.so
	$(RUN) tests/check exports

# The suite as a whole under ASan and UBSan, and under TSan: unit tests and sessions from end to end.
check-sanitize:
	@tests/setup check
	$(SUBMAKE) SANITIZE=address,undefined BUILD=build-address all unit
	$(SUBMAKE) SANITIZE=thread BUILD=build-thread all unit
	$(RUN) tests/check unit:build-address unit:build-thread integration:build-address \
		integration:build-thread:smoke

SECONDS ?= 60
fuzz:
	@tests/setup fuzz
	$(SUBMAKE) CC=clang FUZZER=1 SANITIZE=address,undefined,fuzzer-no-link BUILD=build-fuzz \
		fuzz-targets
	@BUILD=build-fuzz tests/fuzz/run $(SECONDS) $(TARGETS)

check-valgrind:
	@tests/setup check
	$(SUBMAKE) unit
	$(RUN) tests/check valgrind

# Kills, bad disks, bad stores, the slow ones of OpenSSH's own tests through the proxy. KILLS=n hosts and as many recorders are killed; SEED=n repeats a run.
check-faults:
	@tests/setup check
	$(SUBMAKE) all fault-programs $(BUILD)/tests/unit/test_seal_damage
	$(SUBMAKE) SANITIZE=address,undefined BUILD=build-address \
		build-address/tests/unit/test_seal_damage
	$(RUN) tests/check faults

bench:
	@tests/setup bench
	$(SUBMAKE) all benches fault-programs
	$(RUN) tests/bench/run

benches: $(BENCHES)

# Where things go. Texts that name a place are written for /usr and changed to PREFIX on the way.
LIBRARY := $(PREFIX)/lib/castbucket
SBIN ?= $(PREFIX)/sbin
UNITS ?= $(PREFIX)/lib/systemd/system
ZSH_COMPLETIONS ?= $(PREFIX)/share/zsh/site-functions
PLACED = sed 's,/usr/\(bin\|lib\)/castbucket,$(PREFIX)/\1/castbucket,g; \
	s,/usr/sbin/castbucket,$(SBIN)/castbucket,g; \
	s,^prefix=/usr$$,prefix=$(PREFIX),; s,@VERSION@,$(VERSION),'
# $(call place,FILE,TO): installs a text. Its arguments may hold a shell's variables.
place = install -D -m 644 /dev/null $(DESTDIR)$(strip $(2)) && \
	$(PLACED) $(1) >$(DESTDIR)$(strip $(2))

install: all man
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin include share/castbucket/aws/terraform) \
		$(DESTDIR)$(SBIN) $(DESTDIR)$(LIBRARY)
	install -m 755 $(BUILD)/castbucket $(BUILD)/castbucket-shell $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(BUILD)/castbucket-proxy $(DESTDIR)$(SBIN)
	install -m 644 $(BUILD)/castbucket.so $(BUILD)/castbucket-recorder.so $(DESTDIR)$(LIBRARY)
	install -D -m 644 $(BUILD)/castbucket_io.so $(DESTDIR)$(PREFIX)/libexec/sudo/castbucket_io.so
	install -m 644 plugin/recording_plugin.h $(DESTDIR)$(PREFIX)/include
	install -m 644 pkg/aws/castbucket.yaml $(DESTDIR)$(PREFIX)/share/castbucket/aws
	install -m 644 pkg/aws/terraform/*.tf $(DESTDIR)$(PREFIX)/share/castbucket/aws/terraform
	@$(call place,pkg/castbucket.pc.in,$(PREFIX)/share/pkgconfig/castbucket.pc)
	@for page in $(notdir $(MAN_PAGES)); do \
		$(call place,$(BUILD)/man/$$page,$(PREFIX)/share/man/man$${page##*.}/$$page) || exit 1; \
	done
	@$(call place,pkg/completion/castbucket.bash,\
		$(PREFIX)/share/bash-completion/completions/castbucket)
	@$(call place,pkg/completion/castbucket.zsh,$(ZSH_COMPLETIONS)/_castbucket)
	@for name in castbucket-proxy castbucket-shell; do \
		$(call place,pkg/completion/hosts.bash,\
			$(PREFIX)/share/bash-completion/completions/$$name) && \
		$(call place,pkg/completion/hosts.zsh,$(ZSH_COMPLETIONS)/_$$name) || exit 1; done
	@for unit in castbucket.service castbucket-proxy.service castbucket-proxy.socket; do \
		$(call place,pkg/systemd/$$unit,$(UNITS)/$$unit) || exit 1; done
	@$(call place,pkg/systemd/castbucket.sysusers,$(PREFIX)/lib/sysusers.d/castbucket.conf)
	@$(call place,pkg/systemd/castbucket.tmpfiles,$(PREFIX)/lib/tmpfiles.d/castbucket.conf)

# Packages, in build/deb and build/rpm, from a copy of the sources there.
deb:
	@tests/setup deb
	@VERSION=$(VERSION) pkg/make-deb $(BUILD)/deb

rpm:
	@tests/setup rpm
	@VERSION=$(VERSION) pkg/make-rpm $(BUILD)/rpm

# From nothing to a recorded session on a clean Debian, and away again. Needs root.
.PHONY: check-install
check-install:
	@tests/setup install
	tests/install/check $(SUITES)

clean:
	rm -rf build build-*

-include $(shell find $(addprefix $(BUILD)/,hooks plugin recorder tests) -name '*.d' 2>/dev/null)

.PHONY: all unit man fault-programs fuzz-targets benches fuzz demo check check-format check-layers check-exports \
	check-sanitize check-valgrind check-faults bench install deb rpm clean
.SECONDARY:
.DELETE_ON_ERROR:
