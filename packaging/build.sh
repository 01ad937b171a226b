#!/usr/bin/env bash
# Builds the packages of P2P Chat into target/packages: a tar archive, a package for Debian, a container image, and their checksums.
#
#   packaging/build.sh [tarball] [deb] [image]     all three, if none is named
#
#   --binary FILE   package this program instead of building one
#   --out DIR       instead of target/packages
#   --help          this text
#
# The program is linked statically: with musl where that target is installed (rustup target add x86_64-unknown-linux-musl, and musl-tools
# for its C code), otherwise with the static library of glibc (Debian: libc6-dev).
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
packaging=$root/packaging
out=$root/target/packages
binary=
wanted=()

fail() {
  printf 'packaging/build.sh: %s\n' "$*" >&2
  exit 1
}

# The static program, built from a clean tree so that the commit in --version is all of it.
build() {
  [ -z "$(git -C "$root" status --porcelain 2>/dev/null)" ] || echo "packaging/build.sh: warning: there are changes that are not committed" >&2
  local machine target
  machine=$(uname -m)
  target=$machine-unknown-linux-musl
  if [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ] && command -v musl-gcc >/dev/null; then
    (cd "$root" && cargo build --release --locked -p launcher --target "$target")
  else
    echo "packaging/build.sh: no $target or no musl-gcc; linking with the static library of glibc" >&2
    target=$machine-unknown-linux-gnu
    (cd "$root" && RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --locked -p launcher --target "$target")
  fi
  binary=${CARGO_TARGET_DIR:-$root/target}/$target/release/launcher
}

# ldd(1) fails for some static programs and says so of others.
is_static() { ! ldd "$binary" 2>/dev/null | grep -q '=>'; }

# What all packages have, below $1 as the prefix.
stage() {
  local share=$1/share
  mkdir -p "$1/bin" "$share/man/man1" "$share/bash-completion/completions" "$share/zsh/site-functions" "$share/fish/vendor_completions.d"
  mkdir -p "$share/doc/p2p-chat"
  install -m 755 "$binary" "$1/bin/launcher"
  ln -s launcher "$1/bin/p2p-chat"
  "$binary" completions bash >"$share/bash-completion/completions/launcher"
  ln -s launcher "$share/bash-completion/completions/p2p-chat"
  "$binary" completions zsh >"$share/zsh/site-functions/_launcher"
  "$binary" completions fish >"$share/fish/vendor_completions.d/launcher.fish"
  ln -s launcher.fish "$share/fish/vendor_completions.d/p2p-chat.fish"
  "$binary" man "$share/man/man1"
  gzip -9n "$share/man/man1"/*.1
  install -m 644 "$root/README.md" "$root/docs/CHANGELOG.md" "$root/LICENSE-MIT" "$root/LICENSE-APACHE" "$share/doc/p2p-chat/"
  cp "$scratch/THIRD-PARTY-LICENSES.txt" "$share/doc/p2p-chat/"
}

# The unit for a program in $1 with its configuration in $2.
unit() { sed -e '/^# The system unit/d' -e "s|@BIN@|$1|g; s|@CONFIG@|$2|g" "$packaging/systemd/p2p-chat.service"; }

# Archives and packages of the same commit are the same bytes.
archive() { tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" "$@"; }

tarball() {
  local name
  name=p2p-chat-$version-$(uname -m)-linux
  local stage=$scratch/$name
  stage "$stage"
  mkdir -p "$stage/etc/p2p-chat" "$stage/lib/systemd/system"
  install -m 644 "$root/config/launcher.toml" "$stage/etc/p2p-chat/launcher.toml"
  unit /usr/local/bin /usr/local/etc/p2p-chat >"$stage/lib/systemd/system/p2p-chat.service"
  archive -C "$scratch" -c "$name" | gzip -6n >"$out/$name.tar.gz"
}

deb() {
  command -v dpkg-deb >/dev/null || fail "a package for Debian needs dpkg-deb"
  local stage=$scratch/deb architecture depends=
  architecture=$(dpkg --print-architecture)
  is_static || depends=", libc6 (>= $(dpkg-query -W -f '${Version}' libc6 | sed 's/-.*//'))"
  stage "$stage/usr"
  mkdir -p "$stage/etc/p2p-chat" "$stage/usr/lib/systemd/system" "$stage/DEBIAN"
  install -m 644 "$root/config/launcher.toml" "$stage/etc/p2p-chat/launcher.toml"
  unit /usr/bin /etc/p2p-chat >"$stage/usr/lib/systemd/system/p2p-chat.service"
  mv "$stage/usr/share/zsh/site-functions" "$stage/usr/share/zsh/vendor-completions"
  gzip -9n "$stage/usr/share/doc/p2p-chat/CHANGELOG.md" "$stage/usr/share/doc/p2p-chat/THIRD-PARTY-LICENSES.txt"
  printf 'P2P Chat is licensed under MIT or Apache-2.0, at your option: LICENSE-MIT, LICENSE-APACHE beside this file.\n' >"$stage/usr/share/doc/p2p-chat/copyright"
  local size
  size=$(du -sk --exclude DEBIAN "$stage" | cut -f1)
  sed -e "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@SIZE@/$size/; s/@DEPENDS@/$depends/" "$packaging/debian/control" >"$stage/DEBIAN/control"
  install -m 644 "$packaging/debian/conffiles" "$stage/DEBIAN/conffiles"
  install -m 755 "$packaging/debian/postinst" "$packaging/debian/prerm" "$packaging/debian/postrm" "$stage/DEBIAN/"
  (cd "$stage" && find etc usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
  find "$stage" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  dpkg-deb --root-owner-group -Zgzip -z6 --build "$stage" "$out/p2p-chat_${version}_$architecture.deb" >/dev/null
}

image() {
  is_static || echo "packaging/build.sh: warning: $binary needs shared libraries, which the image does not contain" >&2
  local context=$out/container architecture
  rm -rf "$context"
  mkdir -p "$context/root/usr/bin" "$context/root/etc/ssl/certs" "$context/root/data" "$context/root/tmp"
  chmod 1777 "$context/root/tmp"
  chmod 700 "$context/root/data"
  install -m 755 "$binary" "$context/root/usr/bin/launcher"
  ln -s launcher "$context/root/usr/bin/p2p-chat"
  printf 'p2p-chat:x:65532:65532::/data:/usr/bin/launcher\n' >"$context/root/etc/passwd"
  printf 'p2p-chat:x:65532:\n' >"$context/root/etc/group"
  mkdir -p "$context/root/usr/share/doc/p2p-chat"
  install -m 644 "$root/LICENSE-MIT" "$root/LICENSE-APACHE" "$scratch/THIRD-PARTY-LICENSES.txt" "$context/root/usr/share/doc/p2p-chat/"
  # For the bot, alerts and MongoDB over TLS.
  local authorities=/etc/ssl/certs/ca-certificates.crt
  [ ! -r "$authorities" ] || install -m 644 "$authorities" "$context/root/etc/ssl/certs/"
  cp "$packaging/container/Dockerfile" "$context/Dockerfile"
  architecture=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
  "$packaging/container/image.py" "$context" "$out/p2p-chat-$version-image.tar" "p2p-chat:$version" "$SOURCE_DATE_EPOCH" "$architecture"
}

while [ $# -gt 0 ]; do
  case $1 in
    --binary) binary=$(realpath "${2:?--binary needs a file}") && shift ;;
    --out) out=${2:?--out needs a directory} && shift ;;
    --help) sed -n '2,11s/^# \{0,1\}//p' "$0" && exit ;;
    tarball | deb | image) wanted+=("$1") ;;
    *) fail "unknown argument '$1'; see --help" ;;
  esac
  shift
done
[ "${#wanted[@]}" -gt 0 ] || wanted=(tarball deb image)

[ -n "$binary" ] || build
[ -x "$binary" ] || fail "$binary is not a program"
version=$("$binary" --version | cut -d ' ' -f 2)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
mkdir -p "$out"
out=$(cd "$out" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
umask 022
"$packaging/third-party.py" >"$scratch/THIRD-PARTY-LICENSES.txt"
for package in "${wanted[@]}"; do
  "$package"
done
cd "$out"
rm -f SHA256SUMS
sha256sum -- p2p-chat* >"$scratch/SHA256SUMS"
mv "$scratch/SHA256SUMS" SHA256SUMS
cat SHA256SUMS
