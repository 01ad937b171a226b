//! `user`, `group` and `umask`. Only root may become somebody else.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use crate::house::{home, log, run, until_logged};
use crate::support::wait_for;

const CONFIG: &str = "[components.web]
command = ['sh', '-c', 'echo uid=$(id -u) groups=$(id -G) umask=$(umask) home=$HOME user=$USER; echo more > /dev/stdout; exec sleep 600']
cwd = '/'
needs = []
umask = '027'
user = 'nobody'
group = 1
liveness = { exec = ['sh', '-c', 'test $(id -u) = 65534'], interval = '100ms' }
";

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("skipped: only root can become another user");
    }
    is_root
}

#[test]
fn a_program_runs_as_its_user_with_all_that_belongs_to_it_and_ends_with_the_launcher() {
    if !is_root() {
        return;
    }
    let mut launcher = home(CONFIG).up();
    let said = until_logged(&launcher, "web", "more");
    assert!(said.contains("uid=65534 groups=1 umask=0027 home="), "{said}");
    assert!(said.contains("user=nobody") && !said.contains("home=/root"), "{said}");
    let pid = launcher.component_pid("web").unwrap();
    let process = std::path::PathBuf::from(format!("/proc/{pid}"));
    assert_eq!(std::fs::metadata(&process).unwrap().uid(), 65534);
    let probe = wait_for("the probe", || {
        let snapshot = launcher.snapshot();
        snapshot.component("web")?.liveness.clone()
    });
    assert_eq!(probe.error, None, "its probe runs as its user, too");
    launcher.end("-KILL");
    let killed = Instant::now();
    wait_for("its end", || (!process.join("exe").exists()).then_some(()));
    assert!(killed.elapsed() < Duration::from_secs(3), "{:?}", killed.elapsed());
}

#[test]
fn a_program_of_another_user_says_that_it_is_ready_and_others_cannot() {
    if !is_root() {
        return;
    }
    let script = r#"import os, socket, time
path = os.environ["NOTIFY_SOCKET"]
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"STATUS=as %d\nREADY=1" % os.getuid(), path)
print("socket", path, flush=True)
time.sleep(600)
"#;
    let config = format!(
        "[components.web]\ncommand = ['python3', '-c', '''{script}''']\ncwd = '/'\nneeds = []\nuser = 'nobody'\nnotify = true\n"
    );
    let mut launcher = home(&config).up();
    let status = launcher.snapshot().component("web").unwrap().clone();
    assert_eq!(status.status_text.as_deref(), Some("as 65534"), "{status:?}");
    let said = until_logged(&launcher, "web", "socket ");
    let socket =
        std::path::PathBuf::from(said.lines().find_map(|line| line.split("socket ").nth(1)).unwrap());
    let meta = std::fs::metadata(&socket).unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o777), (65534, 0o600));
    // Whoever is not of the component is not heard, though root may send.
    let sender = std::os::unix::net::UnixDatagram::unbound().unwrap();
    sender.send_to(b"STATUS=a lie", &socket).unwrap();
    sender.send_to(b"STOPPING=1", &socket).unwrap();
    // Made again, it is still that user's.
    std::fs::remove_dir_all(socket.parent().unwrap()).unwrap();
    wait_for("the socket", || (std::fs::metadata(&socket).ok()?.uid() == 65534).then_some(()));
    let status = launcher.snapshot().component("web").unwrap().clone();
    assert_eq!(
        (status.state.to_string().as_str(), status.status_text.as_deref()),
        ("ready", Some("as 65534"))
    );
    launcher.end("-TERM");
    assert!(!socket.parent().unwrap().exists());
}

#[test]
fn a_user_that_is_not_there_is_named_by_check_and_ends_the_attempts() {
    let config = CONFIG.replace("'nobody'", "'no-such-user'");
    let home = home(&config.replace("liveness", "# liveness"));
    let checked = home.run(&["check"]);
    let said = String::from_utf8(checked.stderr).unwrap();
    assert!(said.contains("components.web.user: there is no user 'no-such-user' on this machine"), "{said}");
    let launcher = home.start();
    let reason = wait_for("it to be given up", || {
        let component = launcher.component("web")?;
        (component["state"] == "failed").then(|| component["reason"].as_str().map(str::to_owned))?
    });
    assert!(reason.contains("configuration error"), "{reason}");
    assert!(log(&launcher, "web").contains("there is no user 'no-such-user'"), "{reason}");
    assert!(run(&launcher, &["why", "web"]).contains("no-such-user"));
}

#[test]
fn what_cannot_be_is_said_with_its_key() {
    let config = "[components.a]\ncommand = 'a'\nneeds = []\numask = '9'\nuser = 'a b'\n\
                  [components.b]\ncommand = 'b'\nneeds = []\nlimits = { memory = '64MB', cpu = 1.0 }\n\
                  [components.c]\ncommand = 'c'\nneeds = []\nlimits = { nofile = 3, memori = '64MiB' }\n\
                  [components.d]\ncommand = 'd'\nneeds = []\nlimits = { nofile = 3, cpu = 0.0 }\nuser = 1\nnotify = true\n\
                  [components.chat-server]\numask = '022'\n";
    let output = home(config).run(&["check"]);
    let said = String::from_utf8(output.stderr).unwrap();
    for text in [
        ":4:9: components.a.umask: \"9\" is not an umask in octal digits, such as \"027\"",
        ":5:8: components.a.user: \"a b\" is not a name or a number",
        "components.b.limits: ",
        "components.c.limits: unknown key 'memori'; did you mean 'memory'?",
        "components.d.limits: nofile must be at least 16",
        "components.d.limits: cpu is a number of processors from 0.01 on",
        "components.chat-server.umask: chat-server is a built-in component",
    ] {
        assert!(said.contains(text), "{text}\nis not in\n{said}");
    }
}

#[test]
fn without_root_it_is_said_that_nobody_else_can_be_run_as() {
    if !is_root() {
        return;
    }
    let home = home("[components.web]\ncommand = ['sleep', '600']\nneeds = []\nuser = 'root'\n");
    let own = std::process::Command::new("chown").arg("-R").arg("65534").arg(home.dir.path()).status();
    assert!(own.unwrap().success());
    let as_nobody = |arguments: &[&str]| {
        let command = home.command(arguments);
        let mut wrapped = std::process::Command::new("setpriv");
        wrapped.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(command.get_program());
        let variables = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        wrapped.args(command.get_args()).envs(variables).current_dir(home.dir.path());
        let output = wrapped.stdin(std::process::Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (code, said) = as_nobody(&["check"]);
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("components.web.user: only a launcher that is started by root can run a program"),
        "{said}"
    );
    let (code, said) = as_nobody(&["up", "--exit-code-from", "web"]);
    assert_eq!(code, Some(78), "it is given up at once: {said}");
    assert!(said.contains("because of web: configuration error"), "{said}");
    let log = std::fs::read_to_string(home.logs().join("web.log")).unwrap();
    assert!(
        log.contains("user and group need a launcher that is started by root; this one runs as user 65534"),
        "{log}"
    );
}
