//! Programs that are restarted when their files change.

use crate::home;
use crate::support::wait_for;

#[test]
fn a_changed_file_restarts_its_program_and_says_which() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::create_dir_all(path("src/deep")).unwrap();
    std::fs::write(path("src/app.sh"), "exec sleep 600").unwrap();
    let config = format!(
        "[components.app]\ncommand = ['sh', 'src/app.sh']\ncwd = '{0}'\nneeds = []\nwatch = ['src/**/*.{{sh,toml}}']\n\
         [components.other]\ncommand = ['sleep', '600']\ncwd = '{0}'\nneeds = []\nwatch = 'other.sh'\n",
        directory.path().display()
    );
    let launcher = home(&config).up();
    let (app, other) = (launcher.component_pid("app").unwrap(), launcher.component_pid("other").unwrap());
    let restarted = |before: u32| {
        // Written again and again: when the watch begins is nobody's to say.
        wait_for("a restart", || {
            std::fs::write(path("src/deep/new.toml"), "x = 1").unwrap();
            std::thread::sleep(std::time::Duration::from_millis(400));
            launcher.component_pid("app").filter(|pid| *pid != before)
        })
    };
    let second = restarted(app);
    let events = wait_for("the file's name", || {
        let events = std::fs::read_to_string(launcher.home.logs().join("events.jsonl")).ok()?;
        events.contains("src/deep/new.toml has changed").then_some(events)
    });
    assert!(events.contains("\"to\":\"stopping\""), "{events}");
    // Written whole, as editors do, and to a mistake and back.
    std::fs::write(path("src/app.new"), "exit 78").unwrap();
    std::fs::rename(path("src/app.new"), path("src/app.sh")).unwrap();
    wait_for("the mistake to be noticed", || (launcher.component("app")?["state"] == "failed").then_some(()));
    assert_ne!(launcher.component_pid("app"), Some(second));
    std::fs::write(path("src/app.new"), "exec sleep 600").unwrap();
    std::fs::rename(path("src/app.new"), path("src/app.sh")).unwrap();
    wait_for("it to run again", || (launcher.component("app")?["state"] == "ready").then_some(()));
    assert_eq!(launcher.component_pid("other"), Some(other), "its own file has not changed");
}

#[test]
fn a_directory_that_does_not_exist_yet_is_watched_once_it_is_made_and_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("build/out");
    let config = format!(
        "[components.app]\ncommand = ['sleep', '600']\ncwd = '{}'\nneeds = []\nwatch = ['build/out/**/*.js']\n",
        directory.path().display()
    );
    let launcher = home(&config).up();
    let mut pid = launcher.component_pid("app").unwrap();
    let mut restarted = |what: &str| {
        pid = wait_for(what, || launcher.component_pid("app").filter(|other| *other != pid));
    };
    std::fs::create_dir_all(source.join("deep")).unwrap();
    std::fs::write(source.join("deep/a.js"), "1").unwrap();
    restarted("a restart for the files of a new directory");
    std::fs::write(source.join("b.js"), "1").unwrap();
    restarted("a restart for a file in it");
    std::fs::remove_dir_all(directory.path().join("build")).unwrap();
    restarted("a restart because the files are gone");
    std::fs::create_dir_all(&source).unwrap();
    std::fs::write(source.join("c.js"), "1").unwrap();
    restarted("a restart for the directory that is back");
    std::fs::write(source.join("d.js"), "1").unwrap();
    restarted("a restart for a file in that");
}

#[test]
fn its_own_logs_and_data_restart_nobody() {
    let config = "[components.app]\ncommand = ['sh', '-c', 'while :; do echo x; sleep 0.05; done']\nneeds = []\nwatch = ['data/**', 'logs/**']\n";
    let launcher = home(config).up();
    let before = launcher.component_pid("app").unwrap();
    let log = launcher.home.logs().join("app.log");
    let lines = || std::fs::read_to_string(&log).map_or(0, |text| text.lines().count());
    let begin = lines();
    // As long as many quiet times.
    wait_for("more lines", || (lines() > begin + 60).then_some(()));
    let now = launcher.component_pid("app").unwrap();
    let events = std::fs::read_to_string(launcher.home.logs().join("events.jsonl")).unwrap();
    assert!(now == before, "{events}");
}

#[test]
fn a_pattern_without_a_file_is_a_mistake() {
    let output = home("[components.app]\ncommand = ['true']\nwatch = ['./']\n").run(&["check"]);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(text.contains("components.app.watch: './' names no file"), "{text}");
}
