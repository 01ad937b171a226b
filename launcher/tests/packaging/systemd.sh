#!/bin/sh
# Installs a package for Debian in a root with systemd, boots it, and prints what the service does there, sandboxed as its unit says. Run by
# packages.rs in new namespaces:
#
#   P2P_TEST_ROOT=ROOT unshare --mount --pid --fork --mount-proc sh systemd.sh PACKAGE.deb EMPTY-DIRECTORY
#
# ROOT is made by: debootstrap --variant=minbase --include=init-system-helpers,systemd,iproute2,curl bookworm ROOT
set -eu

package=$1
scratch=$2
mount -t tmpfs tmpfs "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
mount -t overlay overlay -o "lowerdir=$P2P_TEST_ROOT,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
cp "$package" "$scratch/root/p2p-chat.deb"
chroot "$scratch/root" dpkg -i /p2p-chat.deb >"$scratch/dpkg.log" 2>&1

# What an administrator does, as a service that ends with the machine.
cat >"$scratch/root/try.sh" <<'TRY'
export HOME=/root
launcher() { /usr/bin/launcher --data /var/lib/p2p-chat --logs /var/log/p2p-chat "$@"; }
echo "state: $(systemctl is-active p2p-chat), $(systemctl show -P StatusText p2p-chat)"
launcher probe
grep -E '^(CapBnd|NoNewPrivs|Seccomp):' "/proc/$(systemctl show -P MainPID p2p-chat)/status"
sed -i 's/^burst = 100/burst = 101/' /etc/p2p-chat/launcher.toml
systemctl reload p2p-chat && echo reloaded
systemctl restart p2p-chat && echo "state: $(systemctl is-active p2p-chat)"
launcher probe
systemctl stop p2p-chat && echo "stopped: $(systemctl show -P Result p2p-chat)"
dpkg -P p2p-chat && ls -d /var/lib/*/p2p-chat /var/lib/p2p-chat /var/log/p2p-chat /etc/p2p-chat 2>/dev/null || echo clean
TRY
cat >"$scratch/root/etc/systemd/system/try.service" <<'UNIT'
[Unit]
After=p2p-chat.service
[Service]
Type=oneshot
ExecStart=sh /try.sh
StandardOutput=append:/try.out
StandardError=inherit
ExecStopPost=systemctl poweroff
[Install]
WantedBy=multi-user.target
UNIT
chroot "$scratch/root" systemctl enable try.service >/dev/null 2>&1
timeout 120 systemd-nspawn --directory "$scratch/root" --boot --register=no --keep-unit --private-network >"$scratch/boot.log" 2>&1 || :
cat "$scratch/root/try.out" || tail -n 50 "$scratch/boot.log" "$scratch/dpkg.log"
