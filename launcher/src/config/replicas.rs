//! Several of one program: `replicas = 3` makes of `[components.web]` the components `web.1`, `web.2` and `web.3`.

use std::collections::BTreeMap;

use super::components::{ComponentConfig, ProbeConfig};

/// What stands for the replica's number in a command and in what belongs to it; its environment has a variable of this name.
const REPLICA: &str = "REPLICA";

impl ComponentConfig {
    /// The names of what it is in the plan.
    #[must_use]
    pub fn names(&self, name: &str) -> Vec<String> {
        match self.replicas {
            None => vec![name.to_owned()],
            Some(count) => (1..=count).map(|number| format!("{name}.{number}")).collect(),
        }
    }

    /// One of its replicas, as if it had been written by itself.
    #[must_use]
    pub fn replica(&self, number: u32) -> Self {
        let fill = |text: &String| fill(text, number);
        let fill_all = |texts: &Vec<String>| texts.iter().map(fill).collect();
        let mut env: BTreeMap<String, String> =
            self.env.iter().map(|(name, value)| (name.clone(), fill(value))).collect();
        env.insert(REPLICA.to_owned(), number.to_string());
        Self {
            command: fill_all(&self.command),
            args: fill_all(&self.args),
            stop_command: fill_all(&self.stop_command),
            env,
            cwd: self.cwd.as_ref().map(fill),
            pid_file: self.pid_file.as_ref().map(fill),
            address: self.address.as_ref().map(fill),
            probe: self.probe.as_ref().map(|probe| probe_of(probe, number)),
            liveness: self.liveness.as_ref().map(|probe| probe_of(probe, number)),
            replicas: None,
            ..self.clone()
        }
    }
}

fn probe_of(probe: &ProbeConfig, number: u32) -> ProbeConfig {
    let fill = |text: &String| fill(text, number);
    ProbeConfig {
        http: probe.http.as_ref().map(fill),
        tcp: probe.tcp.as_ref().map(fill),
        exec: probe.exec.as_ref().map(|command| command.iter().map(fill).collect()),
        log: probe.log.as_ref().map(fill),
        ..probe.clone()
    }
}

/// Puts the number in the place of each `$REPLICA` that is not the beginning of a longer name.
fn fill(text: &str, number: u32) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        let name = from[1..].strip_prefix(REPLICA);
        let is_whole = |after: &&str| !after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        match name.filter(is_whole) {
            Some(after) => {
                filled.push_str(&number.to_string());
                rest = after;
            }
            None => {
                filled.push('$');
                rest = &from[1..];
            }
        }
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_takes_its_place_and_no_other() {
        assert_eq!(fill("127.0.0.1:90$REPLICA0", 2), "127.0.0.1:90$REPLICA0");
        assert_eq!(
            fill("--port=900$REPLICA --name=web.$REPLICA/$REPLICAS $5$", 12),
            "--port=90012 --name=web.12/$REPLICAS $5$"
        );
        assert_eq!(fill("ä$REPLICA", 1), "ä1");
    }

    #[test]
    fn a_replica_is_a_component_of_its_own() {
        let mut config = ComponentConfig { command: vec!["serve".to_owned()], ..ComponentConfig::default() };
        assert_eq!(config.names("web"), ["web"]);
        config.replicas = Some(2);
        config.args = vec!["--port".to_owned(), "900$REPLICA".to_owned()];
        config.env = [("NAME".to_owned(), "web$REPLICA".to_owned())].into();
        config.probe =
            Some(ProbeConfig { tcp: Some("127.0.0.1:900$REPLICA".to_owned()), ..ProbeConfig::default() });
        assert_eq!(config.names("web"), ["web.1", "web.2"]);
        let second = config.replica(2);
        assert_eq!(second.args, ["--port", "9002"]);
        assert_eq!(
            second.env,
            [("NAME", "web2"), (REPLICA, "2")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
        );
        assert_eq!(second.probe.unwrap().tcp.as_deref(), Some("127.0.0.1:9002"));
    }
}
