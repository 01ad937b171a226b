#!/bin/sh
# Runs an image's root file system as a container: process 1 of a namespace, as the image's user, with a read-only root, a volume and a
# network of its own. Run by packages.rs in new namespaces:
#
#   unshare --mount --net --pid --fork --kill-child sh container.sh ROOT VARIABLES PROGRAM ARGUMENTS…
#
# VARIABLES is a file with the image's environment, a variable a line.
set -eu

root=$1
variables=$2
shift 2
# As container runtimes do.
mkdir "$root/proc" "$root/dev"
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -o remount,bind,ro "$root"
mount -t tmpfs -o uid=65532,gid=65532,mode=700 tmpfs "$root/data"
mount -t tmpfs tmpfs "$root/tmp"
ip link set lo up
cd "$root/data"
# shellcheck disable=SC2046 # the values have no spaces
exec env -i $(cat "$variables") "$(command -v chroot)" --userspec=65532:65532 "$root" "$@"
