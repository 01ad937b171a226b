#!/usr/bin/env bash
# Installs what the benchmark can measure beside P2P Chat, from Debian's packages; they are not started. Needs root.
#
#   bench/setup.sh
set -euo pipefail

[ "$(id -u)" = 0 ] || {
  echo "bench/setup.sh: run it as root" >&2
  exit 1
}

# Debian starts servers as they are installed, unless this says no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends mosquitto nats-server ngircd ejabberd
