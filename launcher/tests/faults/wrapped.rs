//! A launcher that is started by another program, for example in a namespace or without its terminal.

use std::process::{Child, Command, Stdio};

use crate::support::processes::all;
use crate::support::{Home, wait_for};

/// A launcher started by another program; stopped with all its descendants.
pub(crate) struct Wrapped {
    pub(crate) home: Home,
    child: Child,
}

impl Wrapped {
    /// Waits until a component is ready. `None` if the wrapper does not work here.
    pub(crate) fn start(home: Home, wrapper: &[&str], component: &str) -> Option<Self> {
        let (program, args) = wrapper.split_first().unwrap();
        let works = Command::new(program).args(args).arg("true").stderr(Stdio::null()).status();
        if !works.is_ok_and(|status| status.success()) {
            println!("skipped: {} is not allowed here", wrapper.join(" "));
            return None;
        }
        let inner = home.command(&["up"]);
        let mut command = Command::new(program);
        command.args(args).arg(inner.get_program()).args(inner.get_args());
        command.current_dir(home.dir.path()).stdin(Stdio::null());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let out = std::fs::File::create(home.dir.path().join("launcher.out")).unwrap();
        command.stdout(out.try_clone().unwrap()).stderr(out);
        let this = Self { child: command.spawn().unwrap(), home };
        wait_for("its components", || this.state(component).filter(|state| state == "ready"));
        Some(this)
    }

    fn status(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.home.run(&["status", "--json"]).stdout).ok()
    }

    pub(crate) fn state(&self, name: &str) -> Option<String> {
        let status = self.status()?;
        let component = status["components"].as_array()?.iter().find(|it| it["name"] == name)?;
        Some(component["state"].as_str()?.to_owned())
    }

    /// The launcher's own process id in our namespace.
    pub(crate) fn launcher(&self) -> u32 {
        let exe = std::path::Path::new(env!("CARGO_BIN_EXE_launcher")).canonicalize().unwrap();
        let data = self.home.data();
        let is_it = |pid: &u32| {
            let cmdline = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let cmdline = String::from_utf8_lossy(&cmdline).into_owned();
            std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|link| link == exe)
                && cmdline.contains(data.to_str().unwrap())
                && cmdline.split('\0').any(|word| word == "up")
        };
        all().find(is_it).expect("the launcher runs")
    }

    pub(crate) fn down(mut self) {
        assert!(self.home.run(&["down"]).status.success());
        self.ended();
    }

    /// Waits for an orderly end.
    pub(crate) fn ended(&mut self) {
        assert!(self.child.wait().unwrap().success(), "{}", self.printed());
    }

    /// Waits for a failure, and returns its output.
    pub(crate) fn failed(&mut self) -> String {
        assert_eq!(self.child.wait().unwrap().code(), Some(1), "{}", self.printed());
        self.printed()
    }

    /// The program that started it.
    pub(crate) fn wrapper(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn printed(&self) -> String {
        std::fs::read_to_string(self.home.dir.path().join("launcher.out")).unwrap_or_default()
    }
}

impl Drop for Wrapped {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.printed());
        }
        let _ = self.home.run(&["down"]);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
