# oms: build, install, and the targets of the house. Works with make alone:
# `make demo` and `make test` install what is missing and start a private
# server; `make install` puts the extension into the server that PG_CONFIG
# names (default: the pg_config on PATH).

PG_CONFIG ?= pg_config
export PG_CONFIG

EXTENSION  = oms
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" oms.control)

SRC        := $(sort $(wildcard src/*/*.c))
API        := $(sort $(wildcard sql/api/*.sql))
SCHEMA     := $(sort $(wildcard sql/schema/*.sql))
MIGRATE    := $(sort $(wildcard sql/migrate/*.sql))

OBJS       = $(SRC:.c=.o)
ifneq ($(SRC),)
MODULE_big = oms
endif
DATA_built = oms--$(EXTVERSION).sql
EXTRA_CLEAN = oms--*.sql $(wildcard src/*/*.o src/*/*.d src/*/*.warn) .built-for .built-from test/unit/bin

# PostgreSQL's headers and the fmgr calling convention are full of unused
# parameters, mixed signs and partly initialised structs; all else of -Wextra counts.
WARNINGS   = -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Wno-sign-compare
PG_CPPFLAGS = -Isrc -MMD -MP
PG_CFLAGS  = $(WARNINGS)

# Bitcode for JIT inlining doubles the build time and C functions gain nothing from it.
override with_llvm = no

PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)

.DEFAULT_GOAL := all

ifneq ($(wildcard $(PGXS)),)
include $(PGXS)

-include $(wildcard $(OBJS:.o=.d))

# Objects of another PostgreSQL version or other flags must not be linked in,
# nor those of a file that is gone; timestamps alone do not tell.
BUILT_FOR := $(shell $(PG_CONFIG) --version) $(CFLAGS)
ifneq ($(file <.built-for),$(BUILT_FOR))
$(file >.built-for,$(BUILT_FOR))
endif
BUILT_FROM := $(strip $(OBJS))
ifneq ($(file <.built-from),$(BUILT_FROM))
$(file >.built-from,$(BUILT_FROM))
endif
$(shlib): .built-from

# Warnings are kept beside each object, where `make lint` finds them without
# compiling everything a second time.
$(OBJS): %.o: %.c .built-for
	@$(COMPILE.c) -o $@ $< 2>$*.warn; status=$$?; cat $*.warn >&2; exit $$status

# One script from the numbered files, so that a domain stays one file.
oms--$(EXTVERSION).sql: FORCE
	@{ printf '%s\n' '\echo Use "CREATE EXTENSION oms" to load this file. \quit'; \
	   for f in $(API); do printf '\n-- %s\n' $$f; cat $$f; done; } > $@.new; \
	 if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
.PHONY: FORCE

# Table scripts are read by oms.install() and oms.upgrade() at run time.
install: install-tables
.PHONY: install-tables
install-tables: installdirs
	$(MKDIR_P) '$(DESTDIR)$(datadir)/extension/oms/schema' '$(DESTDIR)$(datadir)/extension/oms/migrate'
	rm -f '$(DESTDIR)$(datadir)/extension/oms/schema/'*.sql '$(DESTDIR)$(datadir)/extension/oms/migrate/'*.sql
	$(if $(SCHEMA),$(INSTALL_DATA) $(SCHEMA) '$(DESTDIR)$(datadir)/extension/oms/schema/')
	$(if $(MIGRATE),$(INSTALL_DATA) $(MIGRATE) '$(DESTDIR)$(datadir)/extension/oms/migrate/')

uninstall: uninstall-tables
.PHONY: uninstall-tables
uninstall-tables:
	rm -rf '$(DESTDIR)$(datadir)/extension/oms'

else
all install uninstall:
	@echo "'$(PG_CONFIG)' knows no server headers; run test/tool/setup first" >&2; exit 1
clean:
	rm -rf oms.so src/*/*.o $(EXTRA_CLEAN)
endif

# The targets below run scripts, which come back here for `all` and `install`.
.PHONY: demo test bench lint docs
demo test bench lint docs:
	@test/tool/setup $@
	@test/tool/$@

# The random load on the gate, long: N promises; SEED=n repeats one.
.PHONY: soak
soak: export N ?= 10000000
soak:
	@test/tool/setup test
	@ONLY=tap T=022_gate_random test/tool/test

# Unit tests are plain programs: each includes the pure C files it tests.
test/unit/bin/%: test/unit/%.c
	@mkdir -p $(@D)
	$(or $(CC),cc) -std=gnu99 -g -O1 -Wall $(WARNINGS) -fsanitize=address,undefined -fno-sanitize-recover \
		-Isrc -MMD -MP -o $@ $< -lm
-include $(wildcard test/unit/bin/*.d)
