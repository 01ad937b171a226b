//! A proxy with a configuration of the document.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::{free_address, kill, wait_for};

const DOCUMENT: &str = include_str!("../../../docs/reverse-proxies.md");

/// The pair in the document's examples.
pub(crate) const FULLCHAIN: &str = "/etc/letsencrypt/live/chat.example/fullchain.pem";
pub(crate) const KEY: &str = "/etc/letsencrypt/live/chat.example/privkey.pem";

/// Modules that Debian's Apache enables by files of its own.
const APACHE_MODULES: [&str; 7] =
    ["mpm_event", "authz_core", "ssl", "socache_shmcb", "proxy", "proxy_http", "proxy_wstunnel"];

/// A running proxy; it ends when dropped.
pub(crate) struct Proxy {
    process: Child,
    pub(crate) address: SocketAddr,
    directory: TempDir,
}

/// Whether tests with others' programs are skipped, which the test says.
#[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
pub(crate) fn is_skipped() -> bool {
    let is_skipped = std::env::var("P2P_TEST_SKIP_CLIENTS").is_ok_and(|value| value == "1");
    if is_skipped {
        eprintln!("P2P_TEST_SKIP_CLIENTS=1: no proxy is tried");
    }
    is_skipped
}

/// The blocks of the document in a language.
pub(crate) fn block(language: &str, number: usize) -> String {
    let opening = format!("\n```{language}\n");
    let block = DOCUMENT.split(&opening).nth(number + 1).unwrap();
    block.split("\n```").next().unwrap().to_owned()
}

/// Replaces what must be there.
pub(crate) fn replaced(text: &str, replacements: &[(&str, &str)]) -> String {
    replacements.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from:?} is not in {text}");
        text.replace(from, to)
    })
}

impl Proxy {
    /// nginx with blocks beside `events`.
    pub(crate) fn nginx(blocks: impl FnOnce(SocketAddr, &Path) -> String) -> Self {
        Self::start(|directory, address| {
            let blocks = blocks(address, directory);
            // A module of its own in Debian, built in elsewhere.
            let module = "/usr/lib/nginx/modules/ngx_stream_module.so";
            let load =
                if Path::new(module).exists() { format!("load_module {module};\n") } else { String::new() };
            let text =
                format!("{load}daemon off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\n{blocks}\n");
            let file = write(directory, "nginx.conf", &text);
            let mut command = Command::new("nginx");
            command.arg("-p").arg(directory).arg("-c").arg(file).args(["-e", "stderr"]);
            command
        })
    }

    /// The settings that `http` needs to write nothing outside a directory.
    pub(crate) fn nginx_http(directory: &Path, block: &str) -> String {
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let paths = paths.map(|it| format!("{it}_temp_path {}/{it};\n", directory.display())).concat();
        format!("http {{\naccess_log off;\n{paths}{block}\n}}")
    }

    pub(crate) fn caddy(site: impl FnOnce(SocketAddr, &Path) -> String) -> Self {
        Self::start(|directory, address| {
            let text = format!("{{\nadmin off\nauto_https off\n}}\n{}\n", site(address, directory));
            let file = write(directory, "Caddyfile", &text);
            let mut command = Command::new("caddy");
            command.env("HOME", directory).env("XDG_DATA_HOME", directory).env("XDG_CONFIG_HOME", directory);
            command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
            command
        })
    }

    pub(crate) fn apache(host: impl FnOnce(SocketAddr, &Path) -> String) -> Self {
        Self::start(|directory, address| {
            let modules = APACHE_MODULES
                .map(|it| format!("LoadModule {it}_module /usr/lib/apache2/modules/mod_{it}.so\n"))
                .concat();
            let user =
                if rustix::process::getuid().is_root() { "User www-data\nGroup www-data\n" } else { "" };
            let host = host(address, directory);
            let here = directory.display();
            let text = format!(
                "{modules}{user}ServerName localhost\nListen {address}\nPidFile {here}/pid\nErrorLog /dev/stderr\nMutex pthread\n{host}\n"
            );
            let file = write(directory, "apache.conf", &text);
            let mut command = Command::new("apache2");
            command.args(["-D", "FOREGROUND", "-d"]).arg(directory).arg("-f").arg(file);
            command
        })
    }

    fn start(command: impl FnOnce(&Path, SocketAddr) -> Command) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = free_address();
        certificate(directory.path(), address.ip());
        let mut command = command(directory.path(), address);
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let spawned = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn();
        let process = spawned.unwrap_or_else(|error| {
            panic!("{command:?} cannot be started ({error}); install it, or set P2P_TEST_SKIP_CLIENTS=1")
        });
        let mut this = Self { process, address, directory };
        wait_for("the proxy to listen", || {
            assert!(this.process.try_wait().unwrap().is_none(), "{}", this.log());
            TcpStream::connect(address).ok()
        });
        this
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Its workers end with it, which they would not after SIGKILL.
        kill(self.process.id(), "-TERM");
        let _ = self.process.wait();
    }
}

fn write(directory: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let file = directory.join(name);
    std::fs::write(&file, text).unwrap();
    file
}

/// `certificate.pem` and `key.pem` for `localhost` and an address.
fn certificate(directory: &Path, ip: IpAddr) {
    let names = vec!["localhost".to_owned(), ip.to_string()];
    let pair = rcgen::generate_simple_self_signed(names).unwrap();
    write(directory, "certificate.pem", &pair.cert.pem());
    write(directory, "key.pem", &pair.signing_key.serialize_pem());
}
