# Everything a maker of inlay does, one short word each. `make help` lists them.

FUZZTIME ?= 10s
BENCH    ?= .
PREFIX   ?= /usr/local
# Where what is made for people lies.
DIST     ?= dist
# Where the build host keeps the roots of TLS, for the container image.
CA_BUNDLE ?= /etc/ssl/certs/ca-certificates.crt
# The container image for media has tools from this Debian release. MIRROR is an
# apt line or address; empty is Debian's own.
MEDIA_SUITE    ?= trixie
MEDIA_PACKAGES = base-files,dosfstools,mtools,systemd-boot-efi,xorriso
MIRROR         ?=
# The other names that the program answers to.
NAMES = auroraboot kairos-agent luet systemd-sysext systemd-confext

export GOTOOLCHAIN = local
# In CI a missing outside tool is a failure; on a laptop it is a skip.
ifeq ($(CI),true)
export INLAY_REQUIRE_TOOLS = 1
endif

# One build of the linter per version of tools/.
LINTER = .cache/bin/golangci-lint-$(shell sha256sum tools/go.sum | cut -c1-12)
# What boots machines and what measures hides behind a tag.
TAGS = -tags machines,bench

.PHONY: help build demo prepare test test-machines lint fmt fuzz bench docs docs-check install image-context image media-image-context media-image clean

help: ## list these words
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

build: ## the static program, in dist/inlay
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o '$(DIST)/inlay' ./cmd/inlay
	@printf '$(DIST)/inlay: %s bytes\n' "$$(wc -c < '$(DIST)/inlay')"

demo: build ## make a key and a signed extension, from nothing
	@test/demo

prepare: ## install, or name, what the tests need
	test/prepare

test: prepare ## every test that needs no virtual machine
	go test ./...

test-machines: prepare ## boot a real kernel and merge what was built
	go test $(TAGS) -count=1 -timeout 40m ./test/machine...

lint: $(LINTER) ## style, the walls between the floors, stale module files
	$(LINTER) run ./...
	go vet ./...
	go vet $(TAGS) ./...
	go fix $(TAGS) -diff ./...
	go mod tidy -diff
	INLAY_LINTER=$(abspath $(LINTER)) go test -count=1 ./test/house
	@go test -count=1 -v -run TestFileLength ./test/house | sed -n 's/^ *length_test.go:[0-9]*: //p'

fmt: $(LINTER) ## format as gofumpt does
	$(LINTER) fmt ./...

fuzz: ## each fuzz target for FUZZTIME
	FUZZTIME=$(FUZZTIME) test/fuzz

bench: prepare ## builds, verifies and merges beside systemd-repart, veritysetup and systemd-sysext, then the benchmarks that match BENCH
	CGO_ENABLED=0 go test $(TAGS) -count=1 -v -timeout 60m ./test/bench/...
	go test -run '^$$' -bench '$(BENCH)' -benchmem -timeout 60m ./...

docs: ## man pages, completions and the reference of commands
	go run ./docs/gen

docs-check: ## fail if the generated documents are stale
	go run ./docs/gen -check

install: build ## into PREFIX, with man pages and completions
	install -D -m 0755 dist/inlay '$(DESTDIR)$(PREFIX)/bin/inlay'
	install -d '$(DESTDIR)$(PREFIX)/share/man/man1'
	install -m 0644 docs/man/*.1 '$(DESTDIR)$(PREFIX)/share/man/man1'
	install -D -m 0644 docs/completions/inlay.bash '$(DESTDIR)$(PREFIX)/share/bash-completion/completions/inlay'
	install -D -m 0644 docs/completions/_inlay '$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_inlay'
	install -D -m 0644 docs/completions/inlay.fish '$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/inlay.fish'

image-context: build ## the folder that the Containerfile copies, in dist/image
	@test -r '$(CA_BUNDLE)' || { echo "no '$(CA_BUNDLE)': apt-get install ca-certificates, or set CA_BUNDLE" >&2; exit 1; }
	rm -rf '$(DIST)/image'
	install -D -m 0755 '$(DIST)/inlay' '$(DIST)/image/rootfs/usr/bin/inlay'
	for name in $(NAMES); do ln -s inlay "$(DIST)/image/rootfs/usr/bin/$$name"; done
	install -D -m 0644 '$(CA_BUNDLE)' '$(DIST)/image/rootfs/etc/ssl/certs/ca-certificates.crt'
	install -d -m 1777 '$(DIST)/image/rootfs/tmp'
	cp Containerfile '$(DIST)/image/Dockerfile'

image: image-context ## the container image inlay:latest, by the local daemon
	docker build -t inlay '$(DIST)/image'

media-image-context: image-context ## the same with the tools that an ISO takes, in dist/media-image
	@command -v mmdebstrap >/dev/null || { echo "no mmdebstrap: apt-get install mmdebstrap" >&2; exit 1; }
	rm -rf '$(DIST)/media-image'
	install -d '$(DIST)/media-image'
	mmdebstrap --variant=extract --format=tar --include=$(MEDIA_PACKAGES) $(MEDIA_SUITE) '$(DIST)/media-image/tools.tar' $(MIRROR)
	cp -a '$(DIST)/image/rootfs' '$(DIST)/media-image/rootfs'
	cp Containerfile.media '$(DIST)/media-image/Dockerfile'

media-image: media-image-context ## the container image inlay-media:latest, by the local daemon
	docker build -t inlay-media '$(DIST)/media-image'

clean: ## remove what was built, and the demo with its keys; caches stay
	rm -rf dist demo

$(LINTER): tools/go.mod tools/go.sum
	@mkdir -p $(@D)
	go build -C tools -o '$(abspath $@)' github.com/golangci/golangci-lint/v2/cmd/golangci-lint
