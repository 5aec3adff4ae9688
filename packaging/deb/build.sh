#!/usr/bin/env bash
# Builds the Debian package from programs that are built already: `build.sh [FOLDER OF THE PROGRAMS] [FOLDER FOR
# THE PACKAGE]`, target/release and target/deb unless given. It needs dpkg-deb and readelf, no more.
# COMPRESSION is one that dpkg-deb knows, xz unless given. MANUALS and COMPLETIONS name folders of manual pages and of completions for bash, where there are any.
set -euo pipefail
trap 'echo "$0: line $LINENO failed" >&2' ERR
here=$(cd "$(dirname "$0")/../.." && pwd)
programs=${1:-$here/target/release}
out=${2:-$here/target/deb}
version=$(sed -n '/^version = /{s/.*"\(.*\)".*/\1/p;q}' "$here/Cargo.toml")
architecture=$(dpkg --print-architecture)
names=(bitmarkd bitmark-cli recorderd)
for name in "${names[@]}"; do
  [ -x "$programs/$name" ] || { echo "$programs/$name: not built yet; \`make build\` builds all programs" >&2; exit 1; }
done
for tool in dpkg-deb dpkg-query readelf gzip; do
  command -v "$tool" >/dev/null || { echo "$tool was not found: install dpkg, binutils and gzip" >&2; exit 1; }
done

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
doc=$root/usr/share/doc/bitmarkd
put() { install -D -m "$1" "$2" "$3"; }

for name in "${names[@]}"; do
  put 755 "$programs/$name" "$root/usr/bin/$name"
  # Without debug information, where it can be taken off.
  if command -v strip >/dev/null; then strip --strip-unneeded "$root/usr/bin/$name"; fi
done
put 644 "$here/packaging/systemd/bitmarkd.service" "$root/usr/lib/systemd/system/bitmarkd.service"
put 644 "$here/packaging/config/public-node.toml" "$root/etc/bitmarkd/bitmarkd.toml"
for file in bitmarkd.sample.toml recorderd.sample.toml; do put 644 "$here/docs/$file" "$doc/examples/$file"; done
for file in public-node.toml private-network.toml; do put 644 "$here/packaging/config/$file" "$doc/examples/$file"; done
put 644 "$here/docs/grafana/bitmarkd.json" "$doc/examples/grafana/bitmarkd.json"
put 644 "$here/README.md" "$doc/README.md"
put 644 "$here/docs/operators.md" "$doc/operators.md"
put 644 "$here/docs/explorer.md" "$doc/explorer.md"
put 644 "$here/certs/README.md" "$doc/keys.md"
put 644 "$here/LICENSE" "$doc/copyright"
# A changelog is wanted of every package; of this one it is the history of the source.
maintainer="the bitmarkd-rust contributors <nobody@localhost>"
changed=$(git -C "$here" log -1 --format=%cD 2>/dev/null || date -R -r "$here/Cargo.toml")
printf 'bitmarkd (%s) unstable; urgency=medium\n\n  * Built from source; its history tells what changed.\n\n -- %s  %s\n' \
  "$version" "$maintainer" "$changed" > "$root/changelog"
put 644 "$root/changelog" "$doc/changelog"
gzip -9n "$doc/changelog"
rm "$root/changelog"
if [ -d "${MANUALS:-}" ]; then
  for page in "$MANUALS"/*.1; do
    put 644 "$page" "$root/usr/share/man/man1/$(basename "$page")"
    gzip -9n "$root/usr/share/man/man1/$(basename "$page")"
  done
fi
if [ -d "${COMPLETIONS:-}" ]; then
  for file in "$COMPLETIONS"/*.bash; do
    put 644 "$file" "$root/usr/share/bash-completion/completions/$(basename "$file" .bash)"
  done
fi

# The packages that the programs' libraries come from, by their names in the programs.
depends=()
libraries=$(for name in "${names[@]}"; do readelf -d "$root/usr/bin/$name"; done | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u)
for library in $libraries; do
  # The library for this machine's kind of program; dpkg knows it with or without /usr before it.
  # It reads to the end: a reader that leaves early would fail the whole line.
  path=$(ldconfig -p | awk -v name="$library" '$1 == name && path == "" { path = $NF } END { print path }')
  package=
  for candidate in "$path" "/usr$path" "${path#/usr}" "$(readlink -f "$path")"; do
    package=$(dpkg-query -S "$candidate" 2>/dev/null | head -1 | cut -d: -f1) || true
    [ -n "$package" ] && break
  done
  [ -n "$package" ] || { echo "$library: no package has this library; build on Debian" >&2; exit 1; }
  depends+=("$package")
done
# The C library has to have every symbol version that is asked for.
glibc=$(for name in "${names[@]}"; do readelf -V "$root/usr/bin/$name"; done | grep -oE 'GLIBC_2\.[0-9]+' | sed 's/GLIBC_//' | sort -Vu | tail -1)
# 4.3 is where the options are that the node sets.
depends_line=$(printf '%s\n' "${depends[@]}" | sort -u \
  | sed -e "s/^libc6\$/libc6 (>= $glibc)/" -e 's/^libzmq5$/libzmq5 (>= 4.3)/' | paste -sd, | sed 's/,/, /g')

mkdir -p "$root/DEBIAN"
size=$(du -sk --exclude=DEBIAN "$root" | cut -f1)
cat > "$root/DEBIAN/control" <<END
Package: bitmarkd
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Installed-Size: $size
Depends: $depends_line, passwd
Section: net
Priority: optional
Description: Bitmark node, client and miner
 Bitmark is a public ledger of property titles. This is an independent
 implementation of the bitmarkd v8.2 peer service: the node bitmarkd, the
 client bitmark-cli and the miner recorderd.
 .
 The node is not started by the installation: it needs keys and a decision
 first, see /usr/share/doc/bitmarkd/operators.md.
END
echo /etc/bitmarkd/bitmarkd.toml > "$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do put 755 "$here/packaging/deb/$script" "$root/DEBIAN/$script"; done
(cd "$root" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) > "$root/DEBIAN/md5sums"
find "$root" -type d -exec chmod 755 {} +

mkdir -p "$out"
package=$out/bitmarkd_${version}_${architecture}.deb
dpkg-deb -Z"${COMPRESSION:-xz}" --root-owner-group --build "$root" "$package" >/dev/null
echo "$package"
