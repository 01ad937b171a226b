//! The launcher's reports to its service manager, such as systemd: `sd_notify(3)`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use support::{Home, Launcher, PATIENCE};

/// Longer than the interval of three watchdog messages.
const QUIET: Duration = Duration::from_millis(900);

/// The receiving end, like systemd: it reads at once, because the system buffers only a few datagrams.
struct Above {
    told: Receiver<String>,
    _dir: tempfile::TempDir,
    path: PathBuf,
}

impl Above {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let (tell, told) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length) = socket.recv(&mut bytes) {
                if tell.send(String::from_utf8(bytes[..length].to_vec()).unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { told, _dir: dir, path }
    }

    fn next(&self) -> String {
        self.told.recv_timeout(PATIENCE).expect("the launcher says nothing more")
    }

    /// Receives messages until this is among them.
    fn until(&self, text: &str) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            told.push(self.next());
            if told.last().unwrap().contains(text) {
                return told;
            }
            assert!(told.len() < 1000, "'{text}' is not told: {told:?}");
        }
    }
}

/// Programs that do nothing.
fn idle(above: &Path) -> Home {
    let components = ["message-api", "chat-server", "web-adapter", "thermometer"];
    let home =
        components.iter().fold(Home::new(), |home, name| home.set(&format!("{name}.command=sleep 600")));
    home.variable("NOTIFY_SOCKET", above.to_str().unwrap()).variable("WATCHDOG_USEC", "300000")
}

fn environment_of(launcher: &Launcher, component: &str) -> String {
    let pid = launcher.component_pid(component).unwrap();
    String::from_utf8_lossy(&std::fs::read(format!("/proc/{pid}/environ")).unwrap()).into_owned()
}

#[test]
fn it_is_told_of_the_start_of_every_change_of_life_and_of_the_end() {
    let above = Above::new();
    let stubborn =
        "components.mule.command=['sh', '-c', \"trap '' TERM; echo deaf; while :; do sleep 1; done\"]";
    let deaf = "components.mule.probe={ log = 'deaf' }";
    let mut launcher = idle(&above.path).set(stubborn).set(deaf).set("launcher.stop-grace=2s").up();
    let start = above.until("READY=1");
    assert!(start.iter().any(|told| told.starts_with("EXTEND_TIMEOUT_USEC=")), "{start:?}");
    assert!(start.last().unwrap().ends_with("STATUS=healthy"), "{start:?}");

    above.until("WATCHDOG=1");
    above.until("WATCHDOG=1");
    assert!(launcher.home.run(&["stop", "thermometer"]).status.success());
    above.until("STATUS=thermometer is stopped");
    assert!(launcher.home.run(&["start", "thermometer"]).status.success());
    above.until("STATUS=healthy");

    assert_eq!(launcher.end("-TERM").code(), Some(0));
    above.until("STOPPING=1");
    let end = above.until("STATUS=stopping: waiting for mule");
    assert!(end.iter().any(|told| told.starts_with("EXTEND_TIMEOUT_USEC=")), "{end:?}");
}

#[test]
fn what_is_asked_of_the_launcher_is_not_asked_of_its_children() {
    let above = Above::new();
    let launcher = idle(&above.path).up();
    let environment = environment_of(&launcher, "thermometer");
    assert!(!environment.contains(above.path.to_str().unwrap()), "{environment}");
    assert!(!environment.contains("WATCHDOG_USEC=300000"), "{environment}");
}

#[test]
fn a_watchdog_that_is_another_s_is_left_alone() {
    let above = Above::new();
    let _launcher = idle(&above.path).variable("WATCHDOG_PID", "1").up();
    above.until("READY=1");
    let told = above.told.recv_timeout(QUIET);
    assert!(told.is_err(), "{told:?}");
}
