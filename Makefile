# castbucket: build, demonstrate, check, measure, install.
#
#   make demo      set up, build, and show one recorded session from end to end
#   make check     set up, build, and run every test
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
CPPFLAGS += -I. -D_GNU_SOURCE -DCASTBUCKET_VERSION='"$(VERSION)"'
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wcast-qual -Wvla -Werror
ALL_CFLAGS := -std=c17 -fPIC -fvisibility=hidden -fno-common -pthread $(WARNINGS) $(CFLAGS)
ifdef SANITIZE
ALL_CFLAGS += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
ALL_LDFLAGS := -fsanitize=$(SANITIZE)
else
ALL_CFLAGS += -fstack-protector-strong -D_FORTIFY_SOURCE=2
ALL_LDFLAGS := -Wl,-z,defs
endif
ALL_LDFLAGS += -pthread -Wl,--as-needed -Wl,-z,relro -Wl,-z,now $(LDFLAGS)
SHARED := -shared -Wl,-z,nodelete -Wl,--exclude-libs,ALL

# The recorder's libraries; --as-needed leaves out of each program what it does not use.
LIBS := -lcurl -lcrypto -lz -ljansson -lexpat

objects = $(patsubst %.c,$(BUILD)/%.o,$(wildcard $(1)))
RECORDER := $(call objects,$(patsubst %,recorder/%/*.c,\
	base cast journal settings seal spool aws store upload read service))
PRODUCTS := $(BUILD)/castbucket.so $(BUILD)/castbucket-recorder.so $(BUILD)/castbucket \
	$(BUILD)/castbucket-proxy $(BUILD)/castbucket-shell
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))

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

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libcastbucket.a
	$(CC) $(ALL_LDFLAGS) $^ $(LIBS) -lcmocka -o $@

unit: $(UNIT_TESTS)

clean:
	rm -rf build build-*

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

.PHONY: all unit clean
.SECONDARY:
.DELETE_ON_ERROR:
