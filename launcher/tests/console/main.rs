//! The launcher's console: its HTTP by curl and plain sockets, and its page in a real Chromium.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod drawing;
mod guards;
mod http;
mod page;
mod stream;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/webdriver.rs"]
mod webdriver;

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::http::{Answer, request};
use support::{Home, Launcher, free_address};

/// A launcher with a console and programs of the operator's.
pub(crate) struct Console {
    pub(crate) launcher: Launcher,
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
}

/// A configuration with programs that talk, and one that needs another.
const PROGRAMS: &str = "
[components.talker]
command = [\"sh\", \"-c\", \"while :; do echo tick; sleep 0.2; done\"]
needs = []
[components.listener]
command = [\"sleep\", \"600\"]
needs = [\"talker\"]
";

/// The same, with settings of its own.
pub(crate) fn home(settings: &str) -> Home {
    let home = Home::new();
    std::fs::write(home.dir.path().join("console.toml"), format!("{settings}\n{PROGRAMS}")).unwrap();
    let file = home.dir.path().join("console.toml");
    home.variable("P2P_CONFIG", file.to_str().unwrap()).argument("--no-thermometer")
}

impl Console {
    pub(crate) fn start(settings: &str) -> Self {
        let address = free_address();
        let launcher = home(&format!("[launcher]\nconsole-listen = \"{address}\"\n{settings}")).up();
        let token = printed(&launcher, &["console", "--token"]);
        Self { launcher, address, token }
    }

    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// An answer to somebody with the token.
    pub(crate) fn get(&self, path: &str) -> Answer {
        request(self.address, "GET", path, &[("Authorization", &self.bearer())], "")
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        let bearer = self.bearer();
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        request(self.address, "POST", path, &headers, body)
    }

    pub(crate) fn component(&self, name: &str) -> Value {
        let status = self.json("/api/v1/status");
        status["components"].as_array().unwrap().iter().find(|it| it["name"] == name).unwrap().clone()
    }
}

/// What a command prints on standard output, without its end.
pub(crate) fn printed(launcher: &Launcher, arguments: &[&str]) -> String {
    let output = launcher.home.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// What curl prints with these arguments.
pub(crate) fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["-s", "--max-time", "20"])
        .args(arguments)
        .stderr(Stdio::inherit())
        .output();
    String::from_utf8(output.expect("curl is installed").stdout).unwrap()
}
