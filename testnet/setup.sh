#!/usr/bin/env bash
# Installs what the build needs and this machine lacks: a C/C++ compiler, pkg-config and libzmq with CURVE.
# Called with `tests`, also the browser that the tests of the explorer drive; with `bench`, also the
# libargon2 that the block digest is measured beside.
set -euo pipefail
missing=()
command -v c++ >/dev/null || missing+=(g++)
command -v pkg-config >/dev/null || missing+=(pkg-config)
if ! { command -v pkg-config >/dev/null && pkg-config --exists libzmq; }; then missing+=(libzmq3-dev); fi
if [ "${1:-}" = tests ]; then
  command -v chromium >/dev/null || missing+=(chromium)
  command -v chromedriver >/dev/null || missing+=(chromium-driver)
fi
if [ "${1:-}" = bench ] && ! ldconfig -p 2>/dev/null | grep -q 'libargon2\.so\.1'; then missing+=(libargon2-1); fi
if ! command -v cargo >/dev/null; then
  echo "cargo was not found: install Rust 1.90 or newer (rustup, or your system's packages), then call this again" >&2
  exit 1
fi
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi
if ! command -v apt-get >/dev/null; then
  echo "please install: a C++ compiler, pkg-config and the development files of libzmq 4.3 built with CURVE" >&2
  if [ "${1:-}" = tests ]; then echo "and for the tests chromium with its chromedriver" >&2; fi
  echo "(Fedora: dnf install gcc-c++ pkgconf zeromq-devel; macOS: brew install pkg-config zeromq)" >&2
  exit 1
fi
sudo=()
if [ "$(id -u)" != 0 ]; then sudo=(sudo); fi
echo "installing ${missing[*]}"
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
