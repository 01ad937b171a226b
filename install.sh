#!/bin/sh
# Builds P2P Chat and installs it for the present user. Needs no root, and changes nothing outside the user's own directories.
#
#   ./install.sh               build, install, write a configuration where there is none
#   ./install.sh --systemd     also write a systemd user unit
#   ./install.sh --uninstall   remove what was installed; messages, logs and configuration stay
#
#   --prefix DIR   install below DIR instead of $PREFIX or ~/.local
#   --help         this text
#
# It may be run again at any time: the program is replaced, everything else is kept.
set -eu

MINIMUM_MINOR=89 # Rust 1.89, as Cargo.toml's rust-version says
MARK='# Written by install.sh of P2P Chat.'

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "install.sh: $*" >&2; }
fail() {
  warn "$@"
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

usage() { sed -n '2,11s/^# \{0,1\}//p' "$source/install.sh"; }

# A path as an absolute one, whether or not it exists.
absolute() {
  case $1 in
    /*) printf '%s\n' "$1" ;;
    *) printf '%s\n' "$PWD/$1" ;;
  esac
}

# One of the user's directories: $1 is what the environment says, which counts only if absolute (XDG base directories), $2 the default.
user_directory() {
  case $1 in
    /*) printf '%s\n' "$1" ;;
    *) printf '%s\n' "$HOME/$2" ;;
  esac
}

# ---- what the build needs

rust_advice() {
  warn "Get Rust for yourself alone, without root, from https://rustup.rs :"
  warn "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
  warn "then open a new shell, or run '. \"\$HOME/.cargo/env\"', and start this again."
}

check_cargo() {
  # rustup puts it there and changes PATH only for new shells.
  if ! have cargo && [ -x "$HOME/.cargo/bin/cargo" ]; then
    PATH=$PATH:$HOME/.cargo/bin
  fi
  if ! have cargo; then
    warn "cargo, the build tool of Rust, is missing."
    rust_advice
    exit 1
  fi
  version=$(cd "$source" && cargo --version 2>/dev/null) || fail "cargo is there but does not run: try 'cargo --version'"
  number=$(printf '%s\n' "$version" | sed -n 's/^cargo \([0-9][0-9]*\.[0-9][0-9]*\).*/\1/p')
  major=${number%%.*}
  minor=${number#*.}
  [ -n "$number" ] || fail "cannot tell the version of cargo from '$version'"
  if [ "$major" -eq 1 ] && [ "$minor" -lt "$MINIMUM_MINOR" ]; then
    warn "cargo $number is too old: 1.$MINIMUM_MINOR or later is needed."
    if have rustup; then
      warn "Run 'rustup update' and start this again."
    else
      rust_advice
    fi
    exit 1
  fi
}

compiler_advice() {
  case $(uname -s) in
    Darwin) warn "Run 'xcode-select --install' and start this again." ;;
    FreeBSD | OpenBSD | NetBSD | DragonFly) warn "Install the system's compiler set, or clang from its packages, and start this again." ;;
    *)
      if have apt-get; then
        advice='apt-get install build-essential'
      elif have dnf; then
        advice='dnf install gcc glibc-devel'
      elif have zypper; then
        advice='zypper install gcc glibc-devel'
      elif have pacman; then
        advice='pacman -S base-devel'
      elif have apk; then
        advice='apk add build-base'
      else
        advice=''
      fi
      if [ -n "$advice" ]; then
        warn "Have it installed (this needs an administrator): $advice"
      else
        warn "Install gcc or clang, with the headers of the C library, and start this again."
      fi
      ;;
  esac
}

# The embedded SQLite is C, and Rust links with cc: it must be there and work.
check_compiler() {
  if ! have cc; then
    warn "a C compiler is missing: there is no 'cc'."
    compiler_advice
    exit 1
  fi
  printf '#include <stdio.h>\nint main(void) { return 0; }\n' >"$scratch/probe.c"
  if ! cc -o "$scratch/probe" "$scratch/probe.c" >"$scratch/probe.log" 2>&1; then
    warn "the C compiler does not work; it says:"
    sed 's/^/  /' "$scratch/probe.log" >&2
    compiler_advice
    exit 1
  fi
}

# ---- build and install

build() {
  target=$(absolute "${CARGO_TARGET_DIR:-$source/target}")
  say "Building P2P Chat; the first time this takes some minutes."
  (
    cd "$source"
    # The program is for this machine, whatever else is built here.
    unset CARGO_BUILD_TARGET
    cargo build --release --locked --target-dir "$target"
  ) || fail "the build failed; what is wrong stands above"
  [ -x "$target/release/launcher" ] || fail "the build made no $target/release/launcher"
}

# 'launcher' is a common word: a program of that name that we did not install is not replaced.
install_program() {
  if [ -e "$program" ] && [ ! -e "$manifest" ]; then
    fail "$program is another program, or was put there by hand: move it away, or choose another place with --prefix"
  fi
  mkdir -p "$bin" "$(dirname -- "$manifest")"
  replaced=''
  [ ! -e "$program" ] || replaced=1
  new=$bin/.launcher.new.$$
  cp "$target/release/launcher" "$new"
  chmod 755 "$new"
  # A rename: whoever starts it gets the old one or the new one, and a running one is not disturbed.
  mv -f "$new" "$program"
  new=''
  remember "$program"
  say "Installed $program"
}

# What was installed is listed, so that it can be removed again.
remember() {
  if ! [ -e "$manifest" ] || ! grep -qxF "$1" "$manifest"; then
    printf '%s\n' "$1" >>"$manifest"
  fi
}

# Puts the file $1 where $2 says, unless something is there that is not ours.
install_beside() {
  if [ -e "$2" ] && ! grep -qxF "$2" "$manifest"; then
    warn "kept $2, which was there before"
    return
  fi
  mkdir -p "$(dirname -- "$2")"
  cp "$1" "$2"
  remember "$2"
}

# The program knows its command line best.
install_completions_and_pages() {
  share=$prefix/share
  for place in bash:bash-completion/completions/launcher zsh:zsh/site-functions/_launcher fish:fish/vendor_completions.d/launcher.fish; do
    if "$program" completions "${place%%:*}" >"$scratch/completions" 2>/dev/null; then
      install_beside "$scratch/completions" "$share/${place#*:}"
    fi
  done
  if "$program" man "$scratch/man" >/dev/null 2>&1; then
    for page in "$scratch/man"/*.1; do
      [ ! -e "$page" ] || install_beside "$page" "$share/man/man1/${page##*/}"
    done
  fi
  say "          with completions for bash, zsh and fish, and manual pages, below $share"
}

write_config() {
  mkdir -p "$config"
  if [ -e "$config/launcher.toml" ]; then
    say "Kept      $config/launcher.toml"
  else
    cp "$source/config/launcher.toml" "$config/launcher.toml"
    say "Wrote     $config/launcher.toml (the defaults, every key explained)"
  fi
  if [ -e "$config/.env" ]; then
    say "Kept      $config/.env"
    case $(ls -ld "$config/.env") in
      -???------*) ;;
      *) warn "others may read $config/.env, which is for secrets: chmod 600 '$config/.env'" ;;
    esac
    return
  fi
  # Readable by its owner alone from the first byte on; noclobber keeps one that appears just now.
  (
    umask 077
    set -C
    cat >"$config/.env" <<'ENV'
# Secrets of P2P Chat, read by the launcher from here. A line without '#' in front counts.

# Keep messages in MongoDB instead of the embedded database:
#MONGO_URL=mongodb://user:password@127.0.0.1:27017/messaging_db

# Turn the bot on:
#OPENAI_API_KEY=
ENV
  )
  say "Wrote     $config/.env (for secrets; only you can read it)"
}

# ---- MongoDB: said, never needed

# Whether something listens: 0 yes, 1 no, 2 cannot tell. Only what is there anyway is used.
answers() {
  if have nc; then
    nc -z -w 2 "$1" "$2" >/dev/null 2>&1
    return
  fi
  have bash || return 2
  # bash connects by itself, but waits for a silent host for minutes.
  # shellcheck disable=SC2016 # bash expands these, not we
  bash -c 'exec 3<>"/dev/tcp/$1/$2"' connect "$1" "$2" >/dev/null 2>&1 &
  probe=$!
  (
    sleep 2
    kill "$probe"
  ) >/dev/null 2>&1 &
  watchdog=$!
  result=0
  wait "$probe" || result=1
  kill "$watchdog" 2>/dev/null || :
  return "$result"
}

report_mongodb() {
  url=${MONGO_URL:-}
  if [ -z "$url" ] && [ -r "$config/.env" ]; then
    url=$(sed -n 's/^[[:space:]]*\(export[[:space:]]\{1,\}\)\{0,1\}MONGO_URL[[:space:]]*=[[:space:]]*//p' "$config/.env" | tail -n 1 | tr -d "\"'")
  fi
  chosen=$url
  [ -n "$url" ] || url=mongodb://127.0.0.1:27017
  case $url in
    mongodb://*) ;;
    *)
      say "MongoDB:  MONGO_URL is set and cannot be tried from here; 'launcher check' does."
      return
      ;;
  esac
  # The first host; never the password.
  hosts=${url#mongodb://}
  hosts=${hosts%%[/?]*}
  hosts=${hosts##*@}
  first=${hosts%%,*}
  case $first in
    \[*\]:*) host=${first%%\]*} host=${host#\[} port=${first##*:} ;;
    \[*\]) host=${first%\]} host=${host#\[} port=27017 ;;
    *:*) host=${first%%:*} port=${first##*:} ;;
    *) host=$first port=27017 ;;
  esac
  case $host$port in
    '' | *[!A-Za-z0-9.:_-]*)
      say "MongoDB:  MONGO_URL is set and cannot be read here; 'launcher check' tells more."
      return
      ;;
  esac
  result=0
  answers "$host" "$port" || result=$?
  if [ -n "$chosen" ]; then
    case $result in
      0) say "MongoDB:  something answers at $host:$port; MONGO_URL is set, so it will be used." ;;
      2) say "MongoDB:  MONGO_URL names $host:$port; 'launcher check' tells whether it answers." ;;
      *) warn "MONGO_URL names $host:$port, and nothing answers there. Start it, or take MONGO_URL away: none is needed." ;;
    esac
  else
    case $result in
      0) say "MongoDB:  one may be running at $host:$port; set MONGO_URL to use it. None is needed." ;;
      *) say "MongoDB:  not found, and none is needed: messages are kept in an embedded database." ;;
    esac
  fi
}

# ---- systemd

# The program of an ExecStart line, as systemd.syntax(7) wants it: no variable is looked for in it.
unit_program() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g; s/%/%%/g')"; }

# Another word of it, in which systemd.service(5) replaces variables.
unit_word() { unit_program "$1" | sed 's/\$/$$/g'; }

# Written by this script, and for this prefix.
unit_is_ours() {
  [ -e "$unit" ] && grep -qxF "$MARK" "$unit" && grep -qF "ExecStart=$(unit_program "$program") " "$unit"
}

write_unit() {
  if [ -e "$unit" ] && ! grep -qxF "$MARK" "$unit"; then
    fail "$unit was not written by this script: move it away first"
  fi
  mkdir -p "$(dirname -- "$unit")"
  cat >"$unit.new" <<UNIT
$MARK
[Unit]
Description=P2P Chat
Documentation=file://$(printf '%s' "$source" | sed 's/%/%%/g; s/ /%%20/g')/README.md

[Service]
# The launcher says itself when all is up, how it is, and that it lives.
Type=notify
WatchdogSec=30
TimeoutStartSec=60
ExecStart=$(unit_program "$program") up --config $(unit_word "$config/launcher.toml") --data $(unit_word "$state/data") --logs $(unit_word "$state/logs")
Restart=on-failure
RestartSec=2
# Trying again helps against none of these: wrong command line, already running, wrong configuration.
RestartPreventExitStatus=64 75 78
# The launcher ends its components itself, in order; what is left after the time is killed.
KillMode=mixed
TimeoutStopSec=30

[Install]
WantedBy=default.target
UNIT
  mv -f "$unit.new" "$unit"
  say "Wrote     $unit"
  say "          Start it now and at each login:  systemctl --user daemon-reload && systemctl --user enable --now p2p-chat"
  say "          Also without anybody logged in:  loginctl enable-linger"
}

# ---- uninstall

uninstall() {
  if [ ! -e "$manifest" ]; then
    say "Nothing was installed below $prefix by this script."
  else
    if unit_is_ours; then
      if have systemctl; then
        systemctl --user disable --now p2p-chat >/dev/null 2>&1 ||
          warn "could not stop the service; if it runs, stop it with: systemctl --user stop p2p-chat"
      fi
      rm -f "$unit"
      say "Removed   $unit"
    fi
    while IFS= read -r file; do
      rm -f "$file"
      # A directory that was made for it alone.
      [ "$file" = "$program" ] || rmdir "$(dirname -- "$file")" 2>/dev/null || :
    done <"$manifest"
    rm -f "$program" "$manifest"
    rmdir "$(dirname -- "$manifest")" 2>/dev/null || :
    say "Removed   $program"
  fi
  for kept in "$config" "$state"; do
    if [ -e "$kept" ]; then
      say "Kept      $kept"
    fi
  done
  say "          These hold your configuration, messages and logs; delete them yourself if you want them gone."
}

# ---- what is left to say

farewell() {
  case :$PATH: in
    *:"$bin":*) command=launcher ;;
    *)
      command=$program
      case $command in *[!A-Za-z0-9/._-]*) command="'$command'" ;; esac
      warn "$bin is not on your PATH. Add this to your shell's profile:"
      warn "  export PATH=\"$bin:\$PATH\""
      ;;
  esac
  say ""
  if [ -n "$replaced" ] && unit_is_ours; then
    say "Restart it, if it runs as a service:  systemctl --user daemon-reload && systemctl --user restart p2p-chat"
  elif [ -n "$replaced" ]; then
    say "A launcher that runs goes on as it was; end it and start it again to use the new one."
  fi
  say "Start it:   $command"
  say "Chat:       $command chat --name YOU        (or open http://127.0.0.1:8080)"
  say "Settings:   $config/launcher.toml, secrets in $config/.env"
  say "Messages:   $state/data        logs: $state/logs"
}

# shellcheck disable=SC2329 # the trap calls it
cleanup() {
  rm -rf "$scratch"
  [ -z "$new" ] || rm -f "$new"
}

main() {
  source=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
  [ -f "$source/Cargo.toml" ] && [ -f "$source/install.sh" ] ||
    fail "run this from a clone of P2P Chat: there is no Cargo.toml beside it"
  [ -n "${HOME:-}" ] || fail "HOME is not set, so there is no place to install to"

  prefix=${PREFIX:-$HOME/.local}
  action=install
  systemd=''
  while [ $# -gt 0 ]; do
    case $1 in
      --systemd) systemd=1 ;;
      --uninstall) action=uninstall ;;
      --prefix)
        [ $# -ge 2 ] || fail "--prefix needs a directory"
        prefix=$2
        shift
        ;;
      --prefix=*) prefix=${1#--prefix=} ;;
      -h | --help)
        usage
        exit 0
        ;;
      *)
        warn "unknown option $1; see --help"
        exit 64
        ;;
    esac
    shift
  done
  [ -n "$prefix" ] || fail "--prefix needs a directory"

  prefix=$(absolute "$prefix")
  bin=$prefix/bin
  program=$bin/launcher
  manifest=$prefix/share/p2p-chat/installed
  config_home=$(user_directory "${XDG_CONFIG_HOME:-}" .config)
  config=$config_home/p2p-chat
  unit=$config_home/systemd/user/p2p-chat.service
  state=$(user_directory "${XDG_STATE_HOME:-}" .local/state)/p2p-chat

  if [ "$action" = uninstall ]; then
    uninstall
    exit 0
  fi
  new=''
  scratch=$(mktemp -d "${TMPDIR:-/tmp}/p2p-chat-install.XXXXXX")
  trap cleanup EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  check_cargo
  check_compiler
  build
  install_program
  install_completions_and_pages
  write_config
  [ -z "$systemd" ] || write_unit
  report_mongodb
  farewell
}

# All of it is read before any of it runs: a pull during the build may change this file.
main "$@"
exit
