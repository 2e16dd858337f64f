#!/bin/sh
# Installs the bpfleet agent on this device, enrols it, and starts it. Its server fills in the four lines below and serves it:
#   curl -fsSL SERVER/agent/install.sh | sh -s -- TOKEN
# Without a token it brings the agent of an enrolled device up to date. Run again, it goes on where it stopped.
set -eu

SERVER=@SERVER@
STATE=/var/lib/bpfleet-agent
# One package a line: architecture, format, file, SHA-256, bytes, installed bytes, oldest glibc.
PACKAGES=@PACKAGES@

say() { echo "bpfleet: $*" >&2; }
refuse() {
  say "$*"
  exit 1
}
has() { command -v "$1" > /dev/null 2>&1; }

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

require_room() {
  # The archive lies beside what comes out of it for a while.
  needed_kib=$((($1 + $2) / 1024 + 1024))
  folder=/opt
  [ -d "$folder" ] || folder=/
  free_kib=$(df -Pk "$folder" | awk 'NR == 2 { print $4 }')
  [ "$free_kib" -ge "$needed_kib" ] || refuse "$folder has $free_kib KiB free; the agent needs $needed_kib KiB"
}

# A link that drops costs only what has not come yet.
download() {
  attempt=1
  while :; do
    if has curl; then
      curl -fsSL --connect-timeout 20 -C - -o "$2" "$1" && return 0
    else
      wget -q -T 20 -c -O "$2" "$1" && return 0
    fi
    [ "$attempt" -lt 5 ] || refuse "$1 could not be fetched"
    say "the download broke off; trying again ($attempt)"
    sleep "$attempt"
    attempt=$((attempt + 1))
  done
}

digest_of() {
  if has sha256sum; then
    sha256sum "$1" | cut -d ' ' -f 1
  elif has openssl; then
    openssl dgst -sha256 -r "$1" | cut -d ' ' -f 1
  else
    refuse "this device has neither sha256sum nor openssl: the package could not be checked"
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

start() {
  if [ -d /run/systemd/system ] && has systemctl; then
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
  enrolled=no
  [ ! -e "$STATE/identity/device.json" ] || enrolled=yes
  if [ -z "$token" ] && [ "$enrolled" = no ]; then
    refuse "an enrolment token is missing: make one on the page of devices, or with \`bpfleet devices add\`"
  fi
  arch=$(detect_arch)
  package=$(choose_package "$arch")
  # shellcheck disable=SC2086
  set -- $package
  format=$2 file=$3 sha256=$4 bytes=$5 installed=$6 glibc=$7
  require_glibc "$glibc"
  require_room "$bytes" "$installed"

  work=$(mktemp -d "${TMPDIR:-/tmp}/bpfleet.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  # apt drops to a user of its own to read it.
  chmod 755 "$work"
  say "fetching $file ($((bytes / 1048576)) MiB)"
  download "$SERVER/agent/packages/$file" "$work/$file"
  found=$(digest_of "$work/$file")
  [ "$found" = "$sha256" ] || refuse "$file has the digest $found, not $sha256: nothing was installed"
  "install_$format" "$work/$file"
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
