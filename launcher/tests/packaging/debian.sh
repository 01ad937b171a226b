#!/bin/sh
# Installs a package for Debian, runs the program as its unit does, removes and purges it: on a copy-on-write view of this machine, with a
# network of its own. Run by packages.rs in new namespaces:
#
#   unshare --mount --net --pid --fork sh debian.sh PACKAGE.deb EMPTY-DIRECTORY
#
# P2P_TEST_ROOT names another root than this machine's, such as one that debootstrap made.
set -eu

package=$1
scratch=$2
mount -t tmpfs tmpfs "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
mount -t overlay overlay -o "lowerdir=${P2P_TEST_ROOT:-/},upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
cp "$package" "$scratch/root/p2p-chat.deb"
mount -t proc proc "$scratch/root/proc"
mount --rbind /dev "$scratch/root/dev"
ip link set lo up

inside() { chroot "$scratch/root" "$@"; }
# What a package may leave behind; dpkg and others keep their own state.
files() { inside find /etc /opt /srv /usr /var \( -path /var/lib/dpkg -o -path /var/log -o -path /var/cache -o -path /var/lib/systemd \) -prune -o -print | sort; }
say() { printf '== %s\n' "$*"; }

files >"$scratch/before"
say install
inside dpkg -i /p2p-chat.deb
say version
inside p2p-chat --version
inside systemctl is-enabled p2p-chat.service || :
say run
# As the unit does, without systemd: its directories, its command line, a user without any rights.
inside mkdir -p /var/lib/p2p-chat /var/log/p2p-chat
inside chown 65532:65532 /var/lib/p2p-chat /var/log/p2p-chat
inside chmod 700 /var/lib/p2p-chat /var/log/p2p-chat
command=$(sed -n 's/^ExecStart=//p' "$scratch/root/usr/lib/systemd/system/p2p-chat.service")
# shellcheck disable=SC2086 # it is a command line without quotes
chroot "$scratch/root" setpriv --reuid=65532 --regid=65532 --clear-groups --no-new-privs --bounding-set=-all $command >"$scratch/run.log" 2>&1 &
launcher=$!
for _ in $(seq 600); do
  inside launcher --data /var/lib/p2p-chat status >"$scratch/status" 2>&1 && break
  kill -0 "$launcher" 2>/dev/null || break
  sleep 0.1
done
cat "$scratch/run.log" "$scratch/status"
say message
inside sh -c 'printf "bob: hello from a package\n" | HOME=/tmp p2p-chat chat --name alice --plain' || :
curl -s http://127.0.0.1:8000/messages/bob
printf '\n'
curl -s -o /dev/null -w 'page %{http_code}\n' http://127.0.0.1:8080/
kill -TERM "$launcher"
wait "$launcher" && say "stopped with 0"
say remove
inside dpkg -r p2p-chat
inside ls /usr/bin/launcher 2>/dev/null || say "the program is gone"
inside ls /etc/p2p-chat/launcher.toml /var/lib/p2p-chat/chat.db
say purge
inside dpkg -P p2p-chat
files >"$scratch/after"
diff "$scratch/before" "$scratch/after" && say clean
