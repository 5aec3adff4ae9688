#!/usr/bin/env bash
# Installs the package into a folder of its own, starts two nodes from there with the sample of a private network on
# loopback until they are in step, ends them and takes the package away again: `test.sh [PACKAGE]`. Nothing outside of the folder is
# touched. As root dpkg does the work, its scripts included; else the package is only unpacked, and it says so.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
package=${1:-$(ls -t "$here"/target/deb/bitmarkd_*.deb 2>/dev/null | head -1)}
[ -f "$package" ] || { echo "no package; \`make deb\` builds it" >&2; exit 1; }
root=$(mktemp -d /tmp/bitmarkd-deb.XXXXXX)
nodes=()
finish() {
  status=$?
  [ ${#nodes[@]} = 0 ] || kill -KILL "${nodes[@]}" 2>/dev/null || true
  if [ $status != 0 ]; then cat "$root"/var/lib/*/log/*.log "$root/output.txt" 2>/dev/null | tail -40 >&2 || true; fi
  rm -rf "$root"
  exit $status
}
trap finish EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

for wanted in libc6 libzmq5; do
  grep -q "\b$wanted\b" <<< "$(dpkg-deb -f "$package" Depends)" || fail "the package does not depend on $wanted"
done

if [ "$(id -u)" = 0 ]; then
  mkdir -p "$root/var/lib/dpkg" "$root/etc"
  touch "$root/var/lib/dpkg/status" "$root/etc/passwd" "$root/etc/group" "$root/etc/shadow" "$root/etc/gshadow"
  # An empty root has none of the libraries; the programs run with those of this machine.
  in_root() { dpkg --root="$root" --force-script-chrootless --force-depends "$@" >"$root/dpkg.txt" 2>&1 || { cat "$root/dpkg.txt" >&2; fail "dpkg $1"; }; }
  in_root --install "$package"
  grep -q '^bitmarkd:.*:/var/lib/bitmarkd:/usr/sbin/nologin$' "$root/etc/passwd" || fail "there is no user bitmarkd"
  [ "$(stat -c '%a' "$root/var/lib/bitmarkd")" = 700 ] || fail "the node's folder is not for its owner alone"
  [ "$(stat -c '%u' "$root/var/lib/bitmarkd")" = "$(awk -F: '/^bitmarkd:/ { print $3 }' "$root/etc/passwd")" ] || fail "the node's folder is not the node's"
  [ ! -e "$root/etc/systemd/system/multi-user.target.wants/bitmarkd.service" ] || fail "the service is enabled"
else
  echo "not root: the package is unpacked, its scripts are not tried"
  dpkg-deb -x "$package" "$root"
  mkdir -p -m 0700 "$root/var/lib/bitmarkd"
fi

bin=$root/usr/bin
for name in bitmarkd bitmark-cli recorderd; do "$bin/$name" --version >/dev/null || fail "$name does not run"; done
[ -f "$root/usr/lib/systemd/system/bitmarkd.service" ] || fail "there is no unit"
cmp -s "$root/etc/bitmarkd/bitmarkd.toml" "$here/packaging/config/public-node.toml" || fail "there is no configuration"

# Two nodes, the second knows the first. Ports that nobody has at the moment stand for those of the sample.
taken=" "
free_port() {
  while :; do
    port=$((20000 + RANDOM % 12000))
    case "$taken" in *" $port "*) continue ;; esac
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then taken="$taken$port "; return; fi
  done
}
# configure NAME: keys in /var/lib/NAME, the sample in /etc/bitmarkd/private-NAME.toml.
configure() {
  "$bin/bitmarkd" --quiet make-certs --directory "$root/var/lib" --name "$1" --chain devnet --hosts localhost
  sed "s#\"/var/lib/bitmarkd\"#\"$root/var/lib/$1\"#" "$root/usr/share/doc/bitmarkd/examples/private-network.toml" > "$root/etc/bitmarkd/private-$1.toml"
  for sample in 2130 2132 2136 2140 2141; do
    free_port
    sed -i "s/127\.0\.0\.1:$sample\b/127.0.0.1:$port/" "$root/etc/bitmarkd/private-$1.toml"
    case $sample in 2132) explorer=$port ;; 2136) peer=$port ;; esac
  done
}
configure other
printf '[[peering.connect]]\npublic_key = "%s"\naddress = "127.0.0.1:%s"\n' "$(cut -d: -f2 "$root/var/lib/other/peer.public")" "$peer" > "$root/connect.toml"
configure bitmarkd
config=$root/etc/bitmarkd/private-bitmarkd.toml
cat "$root/connect.toml" >> "$config"

# Who started this may have told that hang-ups are not heard (`nohup`); the nodes hear them.
start() { env --default-signal=HUP "$bin/bitmarkd" --config-file "$1" start >>"$root/output.txt" 2>&1 & nodes+=($!); }
ctl() { "$bin/bitmarkd" --config-file "$config" ctl "$@"; }
get() { exec 3<>"/dev/tcp/127.0.0.1/$explorer"; printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$1" >&3; cat <&3; exec 3>&-; }
# wait_for PATH STATUS
wait_for() {
  for _ in $(seq 300); do
    kill -0 "${nodes[@]}" 2>/dev/null || fail "a node ended"
    if grep -q "^HTTP.* $2 " <<< "$( (get "$1") 2>/dev/null)"; then return; fi
    sleep 0.1
  done
  fail "$1 does not answer $2"
}
start "$config"
wait_for /healthz 200
# Alone it is not in step with anybody.
wait_for /readyz 503
grep -q '"chain": "devnet"' <<< "$(ctl --json status)" || fail "the node is of another chain"
grep -q '^bitmarkd_height' <<< "$(get /metrics)" || fail "/metrics"
start "$root/etc/bitmarkd/private-other.toml"
wait_for /readyz 200
grep -q '^mode *Normal' <<< "$(ctl status)" || fail "ready, and not in mode Normal"

# One as systemd ends it, one as a terminal does that is closed.
kill -TERM "${nodes[0]}"
kill -HUP "${nodes[1]}"
for node in "${nodes[@]}"; do wait "$node" || fail "a node did not end cleanly"; done
nodes=()

# A backup as docs/operators.md has it: the folder of a stopped node, copied.
cp -a "$root/var/lib/bitmarkd" "$root/backup"
rm -r "$root/var/lib/bitmarkd"
mv "$root/backup" "$root/var/lib/bitmarkd"
"$bin/bitmarkd" --config-file "$config" rebuild >/dev/null || fail "the copied store does not open"

if [ "$(id -u)" = 0 ]; then
  in_root --purge bitmarkd
  [ ! -e "$bin/bitmarkd" ] || fail "the program is still there"
  [ ! -e "$root/etc/bitmarkd/bitmarkd.toml" ] || fail "the configuration is still there"
  [ -f "$root/var/lib/bitmarkd/proof.sign" ] || fail "the keys are gone"
fi
echo "PASSED: $(basename "$package")"
