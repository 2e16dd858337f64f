#!/bin/sh
# Installs the bpfleet agent on this device, enrols it, and starts it. Its server fills in the lines below, serves it, and shows
# the line that runs it with an enrolment token. Without a token it brings the agent of an enrolled device up to date. Run again,
# it goes on where it stopped.
set -eu
# The package is read by apt's own user, and what is unpacked by the agent's.
umask 022

SERVER=@SERVER@
STATE=/var/lib/bpfleet-agent
HOME_PARENT=/opt
# Beside where the package is unpacked: /tmp is a small tmpfs on many boards.
WORK=$HOME_PARENT/.bpfleet-install
# Where a NAT has dropped the flow nothing ever comes, and the connection stays open.
STALLED_BYTES_PER_S=16
STALLED_S=60
RETRY_S=1
# One package a line: architecture, format, file, SHA-256, bytes, installed bytes, oldest glibc.
PACKAGES=@PACKAGES@

say() { echo "bpfleet: $*" >&2; }
refuse() {
  say "$*"
  exit 1
}
has() { command -v "$1" > /dev/null 2>&1; }
systemd_runs() { [ -d /run/systemd/system ] && has systemctl; }

# Of the programs on this device, not of its kernel: a 64-bit kernel may run 32-bit programs only.
detect_arch() {
  # EI_CLASS of an ELF file: 1 is 32 bits, 2 is 64.
  class=$(dd if=/bin/sh bs=1 skip=4 count=1 2> /dev/null | tr '\001\002' '12')
  case "$(uname -m)/$class" in
    x86_64/2) echo x64 ;;
    aarch64/2) echo arm64 ;;
    aarch64/1 | armv7*/1 | armv8*/1) echo armv7 ;;
    *) refuse "there is no agent for $(uname -m) with programs of ELF class $class; there are x86-64, ARM64 and ARMv7" ;;
  esac
}

require_glibc() {
  ldd_says=$(ldd --version 2>&1 | head -n 1 || true)
  case "$ldd_says" in *musl*) refuse "this device has musl; the agent needs glibc $1 or newer" ;; esac
  found=$(getconf GNU_LIBC_VERSION 2> /dev/null | tr -dc '0-9.' || true)
  [ -n "$found" ] || found=$(echo "$ldd_says" | sed -n 's/.* \([0-9][0-9]*\.[0-9][0-9]*\).*/\1/p')
  # What says nothing about itself is tried: the agent is run before anything is enrolled.
  [ -n "$found" ] || return 0
  older=$(printf '%s\n%s\n' "$1" "$found" | sort -t. -k1,1n -k2,2n | head -n 1)
  [ "$older" = "$1" ] || refuse "this device has glibc $found; the agent needs $1 or newer"
}

size_of() {
  if [ -f "$1" ]; then wc -c < "$1" | tr -dc '0-9'; else echo 0; fi
}

# Arguments: the package's file, its bytes, what they become when they are installed.
require_room() {
  # The package lies beside what comes out of it for a while.
  needed_kib=$((($2 - $(size_of "$1") + $3) / 1024 + 1024))
  free_kib=$(df -Pk "$HOME_PARENT" | awk 'NR == 2 { print $4 }')
  [ "$free_kib" -ge "$needed_kib" ] || refuse "$HOME_PARENT has $free_kib KiB free; the agent needs $needed_kib KiB there"
}

# One go. What lies in the file already is not fetched again.
fetch() {
  if has curl; then
    curl -fsSL --connect-timeout 20 --speed-limit "$STALLED_BYTES_PER_S" --speed-time "$STALLED_S" -C - -o "$2" "$1" || {
      # 33: this server, or what stands before it, does not go on in the middle.
      [ $? != 33 ] || rm -f "$2"
      return 1
    }
  elif wget --help 2>&1 | grep -q '[[:space:]]-T'; then
    wget -q -T "$STALLED_S" -c -O "$2" "$1"
  else
    fetch_watched "$1" "$2"
  fi
}

# BusyBox may be built without a timeout, as Debian's was before 1.36.1-5; its wget then crashes when it is given one.
fetch_watched() {
  wget -q -c -O "$2" "$1" &
  fetching=$!
  trap 'kill "$fetching" 2> /dev/null; exit 1' HUP INT TERM
  seen=$(size_of "$2") idle_s=0
  while kill -0 "$fetching" 2> /dev/null; do
    sleep 1
    idle_s=$((idle_s + 1))
    if [ "$(size_of "$2")" != "$seen" ]; then seen=$(size_of "$2") idle_s=0; fi
    [ "$idle_s" -lt "$STALLED_S" ] || kill "$fetching" 2> /dev/null || true
  done
  trap - HUP INT TERM
  wait "$fetching"
}

# Arguments: address, file, digest, bytes. A link that drops costs only what has not come yet.
download() {
  attempt=1
  # What an earlier run has left may be put together from more than one answer: wrong, it is fetched anew, once.
  pieces=no
  [ "$(size_of "$2")" = 0 ] || pieces=yes
  while :; do
    before=$(size_of "$2")
    # First of all: asked for what follows the last byte, a server answers 416, which looks like a failure.
    if [ "$before" -ge "$4" ]; then
      found=$(digest_of "$2")
      [ "$found" != "$3" ] || return 0
      rm -f "$2"
      [ "$pieces" = yes ] || refuse "$1 has the digest $found, not $3: nothing was installed"
      say "what came in pieces is not what was built; fetching it anew"
      pieces=done before=0
    fi
    if fetch "$1" "$2" && [ "$(size_of "$2")" -ge "$4" ]; then continue; fi
    [ "$pieces" = done ] || pieces=yes
    # A megabyte more is progress, however often the link drops.
    if [ "$(size_of "$2")" -ge $((before + 1048576)) ]; then attempt=1; fi
    [ "$attempt" -lt 5 ] || refuse "$1 could not be fetched; run this again to go on"
    say "the download broke off; trying again ($attempt)"
    sleep $((attempt * RETRY_S))
    attempt=$((attempt + 1))
  done
}

digest_of() {
  if has sha256sum; then
    sha256sum "$1" | cut -d ' ' -f 1
  else
    openssl dgst -sha256 -r "$1" | cut -d ' ' -f 1
  fi
}

# The package for this device: of Debian's format where dpkg keeps the books, else the archive.
choose_package() {
  wanted=tar
  # A file that dpkg has never written is no book: some images have the program and no packages.
  if has dpkg && [ -s /var/lib/dpkg/status ]; then wanted=deb; fi
  line=$(echo "$PACKAGES" | grep "^$1 $wanted " || true)
  [ -n "$line" ] || line=$(echo "$PACKAGES" | grep "^$1 tar " || true)
  [ -n "$line" ] || refuse "the server has no package for $1: on the server, run \`npm run package -- --arch $1\`"
  echo "$line"
}

install_deb() {
  if has apt-get; then
    # It also brings what the package depends on.
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends --reinstall --allow-downgrades "$1" >&2 && return 0
    say "apt-get failed; trying dpkg alone"
  fi
  dpkg -i "$1" >&2 || refuse "dpkg could not install $1; see above"
}

install_tar() {
  # A program that runs cannot be written over, only replaced.
  rm -f /opt/bpfleet-agent/lib/node /opt/bpfleet-agent/bin/bpfleet-reap
  tar -xzf "$1" -C / || refuse "the archive could not be unpacked"
  /opt/bpfleet-agent/lib/setup configure >&2
}

require_token() {
  case "$1" in
    bpf1.*.*.*) ;;
    *) refuse "\"$1\" is no enrolment token: copy the whole line from the page of devices, or make one with \`bpfleet devices add\`" ;;
  esac
}

# The token ends with the digest of the root that the fleet began with, or of its newest. The agent keeps both.
require_same_fleet() {
  fleet=${1##*.}
  [ "$(digest_of "$STATE/root.json")" != "$fleet" ] || return 0
  if grep -q "$fleet" "$STATE/identity/device.json"; then return 0; fi
  say "this device is enrolled in another fleet than this token's; nothing was changed. To give up that identity for a new one, run"
  move="bpfleet-agent enrol --server '$SERVER' --token $1 --state $STATE --replace"
  if systemd_runs; then
    echo "  $move && systemctl restart bpfleet-agent" >&2
  else
    echo "  $move" >&2
    say "and start the agent again"
  fi
  exit 1
}

start() {
  if systemd_runs; then
    systemctl restart bpfleet-agent.service
    say "the agent runs: systemctl status bpfleet-agent"
  else
    say "there is no systemd here; start the agent as root, at each boot, with: bpfleet-agent run"
  fi
}

main() {
  token=${1:-}
  [ "$(id -u)" = 0 ] || refuse "this needs root: put sudo before sh"
  has curl || has wget || refuse "this device has neither curl nor wget"
  has sha256sum || has openssl || refuse "this device has neither sha256sum nor openssl: the package could not be checked"
  [ -z "$token" ] || require_token "$token"
  enrolled=no
  [ ! -e "$STATE/identity/device.json" ] || enrolled=yes
  if [ -n "$token" ] && [ "$enrolled" = yes ]; then require_same_fleet "$token"; fi
  if [ -z "$token" ] && [ "$enrolled" = no ]; then
    refuse "an enrolment token is missing: make one on the page of devices, or with \`bpfleet devices add\`"
  fi
  arch=$(detect_arch)
  package=$(choose_package "$arch")
  # shellcheck disable=SC2086
  set -- $package
  format=$2 file=$3 sha256=$4 bytes=$5 installed=$6 glibc=$7
  require_glibc "$glibc"

  mkdir -p "$WORK" || refuse "$HOME_PARENT cannot be written; the agent is installed there"
  # Named by its digest, so that what an earlier run has left of it is gone on with, and of another build is not.
  fetched=$WORK/$sha256.$format
  for left in "$WORK"/*; do [ "$left" = "$fetched" ] || rm -f "$left"; done
  require_room "$fetched" "$bytes" "$installed"
  say "fetching $file ($((bytes / 1048576)) MiB)"
  download "$SERVER/agent/packages/$file" "$fetched" "$sha256" "$bytes"
  "install_$format" "$fetched"
  rm -rf "$WORK"
  version=$(/opt/bpfleet-agent/bin/bpfleet-agent --version) || refuse "the agent does not run on this device; see above"
  say "installed version $version, $((installed / 1048576)) MiB"
  if [ "$enrolled" = yes ]; then
    say "this device is enrolled already and keeps its identity"
  else
    /opt/bpfleet-agent/bin/bpfleet-agent enrol --server "$SERVER" --token "$token" --state "$STATE"
  fi
  start
}

# At the end, so that half a script, from a connection that broke, does nothing.
main "$@"
