//! The layers, the places and the mistakes, without a process.

use super::*;
use tempfile::TempDir;

/// A working directory with a configuration, and an environment.
struct Setup {
    directory: TempDir,
    environment: Environment,
    request: Request,
}

impl Setup {
    fn new(file: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("config")).unwrap();
        std::fs::write(directory.path().join("config/launcher.toml"), file).unwrap();
        let environment = Environment { directory: directory.path().to_owned(), ..Environment::default() };
        Self { directory, environment, request: Request::default() }
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn set(mut self, text: &str) -> Self {
        self.request.sets.push(text.to_owned());
        self
    }

    fn dotenv(self, place: &str, text: &str) -> Self {
        std::fs::write(self.directory.path().join(place), text).unwrap();
        self
    }

    fn load(&self) -> Result<Loaded, Mistakes> {
        load(&self.request, &self.environment)
    }

    fn mistakes(&self) -> Vec<String> {
        self.load().unwrap_err().iter().map(ToString::to_string).collect()
    }
}

#[test]
fn the_default_file_is_the_defaults_and_names_every_key() {
    let loaded = Setup::new(DEFAULT_FILE).load().unwrap();
    assert_eq!(loaded.settings, Settings::default());
    for section in schema::SECTIONS {
        for key in section.keys().iter().filter(|key| *key != schema::COMMAND) {
            let full = format!("{}.{key}", section.name);
            let given = loaded.origins.of(&full) != Source::Default;
            let mentioned = DEFAULT_FILE
                .lines()
                .any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} =")));
            let optional = section.default_of(key).is_null();
            assert!(given || (optional && mentioned), "{full} is missing in config/launcher.toml");
        }
    }
}

#[test]
fn the_embedded_default_is_used_where_there_is_no_file() {
    let empty = tempfile::tempdir().unwrap();
    let home = empty.path().to_str().unwrap().to_owned();
    let environment =
        Environment { directory: empty.path().to_owned(), variables: [("HOME".to_owned(), home)].into() };
    let loaded = load(&Request::default(), &environment).unwrap();
    assert_eq!((loaded.file, loaded.settings), (None, Settings::default()));
    assert_eq!(loaded.directories.data, empty.path().join(".local/state/p2p-chat/data"));
    let nowhere = Environment { directory: empty.path().to_owned(), ..Environment::default() };
    assert!(load(&Request::default(), &nowhere).unwrap_err().to_string().contains("--data"));
}

#[test]
fn each_layer_lies_over_the_ones_below() {
    let key = "P2P_THERMOMETER__NAME";
    let name = |setup: &Setup| setup.load().unwrap().settings.thermometer.name;
    let setup = Setup::new("thermometer.name = 'file'");
    assert_eq!(name(&setup), "file");
    let setup = setup.dotenv(".env", "P2P_THERMOMETER__NAME=root");
    assert_eq!(name(&setup), "root");
    let setup = setup.dotenv("config/.env", "P2P_THERMOMETER__NAME=beside");
    assert_eq!(name(&setup), "beside");
    let setup = setup.variable(key, "environment");
    assert_eq!(name(&setup), "environment");
    let setup = setup.set("thermometer.name=flag");
    assert_eq!(name(&setup), "flag");
    assert_eq!(setup.load().unwrap().origins.of("thermometer.name").to_string(), "--set thermometer.name");
}

#[test]
fn well_known_variables_mean_what_they_say() {
    let setup = Setup::new("store.url = 'sqlite:x.db'")
        .dotenv(".env", "OPENAI_API_KEY=from-file\nMONGO_URL=mongodb://a");
    let loaded = setup.load().unwrap();
    assert_eq!(loaded.settings.store.url, "mongodb://a");
    assert_eq!(loaded.api_key.unwrap().expose(), "from-file");
    let setup = setup.variable("MONGO_URL", "mongodb://b").variable("OPENAI_API_KEY", "from-environment");
    let loaded = setup.load().unwrap();
    assert_eq!(loaded.settings.store.url, "mongodb://b");
    assert_eq!(loaded.api_key.unwrap().expose(), "from-environment");
    let particular = setup.variable("P2P_STORE__URL", "mongodb://c");
    assert_eq!(particular.load().unwrap().settings.store.url, "mongodb://c");
    let flag = particular.set("store.url=sqlite:y.db");
    assert_eq!(flag.load().unwrap().settings.store.url, "sqlite:y.db");
}

#[test]
fn every_mistake_is_told_with_its_place_and_the_nearest_key() {
    let file = "[chat-server]\nlisen = '127.0.0.1:5000'\nlisten = 'nowhere'\n\n[web-adaptor]\nlisten = '127.0.0.1:1'\n\n[thermometer]\ninterval = 5\n";
    let setup = Setup::new(file)
        .variable("P2P_OPENAI_BOT__MODLE", "x")
        .set("message-api.listen=127.0.0.1")
        .set("nonsense");
    let mistakes = setup.mistakes();
    let expected = [
        "config/launcher.toml:2:1: unknown key 'chat-server.lisen'; did you mean 'listen'?",
        "config/launcher.toml:3:10: chat-server.listen: ",
        "config/launcher.toml:5:2: unknown section 'web-adaptor'; did you mean 'web-adapter'?",
        "config/launcher.toml:9:12: thermometer.interval: ",
        "environment variable P2P_OPENAI_BOT__MODLE: unknown key 'openai-bot.modle'; did you mean 'model'?",
        "--set message-api.listen: message-api.listen: ",
        "--set nonsense: write --set SECTION.KEY=VALUE",
    ];
    for text in expected {
        assert!(mistakes.iter().any(|mistake| mistake.starts_with(text)), "{text}\nis not in {mistakes:#?}");
    }
    assert_eq!(mistakes.len(), expected.len(), "{mistakes:#?}");
}

#[test]
fn a_value_that_does_not_fit_is_shown_with_what_is_expected() {
    let file = "[chat-server]\nlisten = '127.0.0.1'\nmax-connections = -1\nquiet = 20\n[launcher]\nwatch = 'yes'\nmetrics-listen = 'x'\n[logs]\nformat = 'jason'\n[web-adapter]\nchat-servers = ['a:1']\n[store]\nurl = 5\n";
    let mistakes = Setup::new(file).set("message-api.listen=localhost:8000").mistakes();
    let expected = [
        "config/launcher.toml:2:10: chat-server.listen: \"127.0.0.1\" is not an IP address with a port, such as 127.0.0.1:5000; the default is \"127.0.0.1:5000\"",
        "config/launcher.toml:3:19: chat-server.max-connections: -1 is not a non-negative integer; the default is",
        "config/launcher.toml:4:9: chat-server.quiet: 20 is not a time with its unit, such as 20ms, 5s, 2m, 1h or 7d; the default is",
        "config/launcher.toml:6:9: launcher.watch: \"yes\" is not true or false; the default is true",
        "config/launcher.toml:7:18: launcher.metrics-listen: \"x\" is not an IP address with a port",
        "config/launcher.toml:9:10: logs.format: \"jason\" is not one of raw, text, json; did you mean 'json'?",
        "config/launcher.toml:11:16: web-adapter.chat-servers: [\"a:1\"] contains a value that is not an IP address with a port",
        "config/launcher.toml:13:7: store.url: 5 is not a string in quotation marks; the default is",
        "--set message-api.listen: message-api.listen: \"localhost:8000\" is not an IP address with a port",
    ];
    for text in expected {
        assert!(mistakes.iter().any(|mistake| mistake.starts_with(text)), "{text}\nis not in {mistakes:#?}");
    }
    assert_eq!(mistakes.len(), expected.len(), "{mistakes:#?}");
}

#[test]
fn a_value_out_of_its_bounds_is_shown() {
    let mistakes = Setup::new("chat-server.quiet = '11s'\nopenai-bot.base-url = 'nonsense'\n").mistakes();
    assert!(
        mistakes[0].ends_with("chat-server.quiet: must be from 1ms to 10s; it is \"11s\""),
        "{mistakes:#?}"
    );
    assert!(mistakes[1].ends_with("; it is \"nonsense\""), "{mistakes:#?}");
}

#[test]
fn what_variables_hold_is_in_no_error() {
    let file = "chat-server.listen = '${SECRET}'\nopenai-bot.base-url = 'x-${SECRET}'\nlan-peer.peers = ['${SECRET} ']\nstore.url = '${SECRET}'\nchat-server.max-connections = '${SECRET}'\nthermometer.name = '${SECRET}!'\n";
    let mistakes = Setup::new(file).variable("SECRET", "hunter 2").mistakes();
    assert!(mistakes.len() >= 6, "{mistakes:#?}");
    assert!(mistakes.iter().all(|mistake| !mistake.contains("hunter")), "{mistakes:#?}");
    assert!(mistakes[0].contains("chat-server.listen: \"${SECRET}\" is not an IP address"), "{mistakes:#?}");
}

#[test]
fn a_secret_too_short_to_be_masked_is_refused_by_its_name() {
    let file = "store.url = 'mongodb://me:a@127.0.0.1/'\n[components.x]\ncommand = ['x']\nenv = { BOT_TOKEN = 'abc', MODE = 'a' }\n";
    let setup = Setup::new(file).variable("OPENAI_API_KEY", "k");
    let mistakes = setup.mistakes();
    let short = "has fewer than 4 characters";
    for text in [
        format!("config/launcher.toml:1:13: store.url: the password in it {short}"),
        format!("config/launcher.toml:4:7: components.x.env: BOT_TOKEN {short}"),
        format!("environment variable OPENAI_API_KEY: {short}"),
    ] {
        assert!(mistakes.iter().any(|mistake| mistake.starts_with(&text)), "{text}\nis not in {mistakes:#?}");
    }
    assert_eq!(mistakes.len(), 3, "{mistakes:#?}");
}

#[test]
fn what_is_not_toml_is_told_beside_the_other_mistakes() {
    let mistakes = Setup::new("[thermometer]\nname = \n[chat-server]\nquite = '5s'\n").mistakes();
    assert!(mistakes.iter().any(|mistake| mistake.starts_with("config/launcher.toml:2:")), "{mistakes:#?}");
    assert!(mistakes.iter().any(|mistake| mistake.contains("did you mean 'quiet'")), "{mistakes:#?}");
}

#[test]
fn settings_that_contradict_each_other_are_mistakes() {
    let file = "message-api.listen = '127.0.0.1:5000'\nstore.url = 'postgres://u:hunter2@h'\nthermometer.name = 'a b'\n[logs]\nfile-mib = 0\n";
    let mistakes = Setup::new(file).mistakes();
    assert_eq!(mistakes.len(), 4, "{mistakes:#?}");
    assert!(mistakes.iter().all(|mistake| !mistake.contains("hunter2")), "{mistakes:#?}");
    assert!(
        mistakes.iter().any(|mistake| mistake.contains("chat-server.listen: the address 127.0.0.1:5000"))
    );
    assert!(mistakes.iter().any(|mistake| mistake.contains("mongodb://HOST:PORT")));
}

#[test]
fn a_secret_in_the_file_is_sent_to_where_it_belongs() {
    let mistakes = Setup::new("openai-bot.api-key = 'sk-hunter2'").mistakes();
    assert!(mistakes[0].contains("OPENAI_API_KEY") && !mistakes[0].contains("hunter2"), "{mistakes:?}");
}

#[test]
fn a_broken_line_of_dotenv_is_named_and_not_shown() {
    let mistakes = Setup::new("").dotenv(".env", "A=1\nOPENAI API KEY sk-hunter2\n").mistakes();
    assert!(mistakes[0].contains(".env: line 2") && !mistakes[0].contains("hunter2"), "{mistakes:?}");
}

#[test]
fn texts_of_flags_become_what_their_keys_want() {
    let setup = Setup::new("")
        .set("web-adapter.allowed-origins=https://a.example,https://b.example")
        .set("web-adapter.chat-servers=[\"10.0.0.1:5000\"]")
        .set("launcher.watch=false")
        .set("logs.files=7")
        .set("openai-bot.name=\"quoted\"")
        .set("thermometer.interval=5s");
    let settings = setup.load().unwrap().settings;
    assert_eq!(settings.web_adapter.allowed_origins, ["https://a.example", "https://b.example"]);
    assert_eq!(settings.web_adapter.chat_servers.len(), 1);
    assert_eq!((settings.launcher.watch, settings.logs.files), (false, 7));
    assert_eq!(settings.openai_bot.name, "quoted");
    assert_eq!(settings.thermometer.interval, std::time::Duration::from_secs(5));
}

#[test]
fn components_and_commands_are_the_operators_own_programs() {
    let file = "[components.echo]\ncommand = ['python3', 'echo.py']\nenv = { MODE = 'x' }\n[thermometer]\ncommand = ['./thermometer']\n";
    let settings = Setup::new(file).load().unwrap().settings;
    assert_eq!(settings.components["echo"].command, ["python3", "echo.py"]);
    assert_eq!(*settings.components["echo"].needs, ["chat-server"]);
    assert_eq!(settings.commands["thermometer"], ["./thermometer"]);
    let wrong = "[components.Echo]\ncommand = ['x']\n[components.a]\nneeds = ['b']\n[components.b]\ncommand = ['y']\nneeds = ['a', 'c']\n";
    let mistakes = Setup::new(wrong).mistakes();
    for text in [
        "lowercase letters",
        "components.a.command: names no program",
        "nothing called 'c'",
        "components.a.needs: needs itself",
    ] {
        assert!(mistakes.iter().any(|mistake| mistake.contains(text)), "{text} is not in {mistakes:#?}");
    }
}

#[test]
fn what_is_needed_may_be_said_with_its_state_and_a_state_that_cannot_be_is_a_mistake() {
    let programs = "[launcher.groups]\nboth = ['db', 'migrate']\n[components.db]\ncommand = ['x']\n[components.migrate]\ncommand = ['x']\ntype = 'oneshot'\n[components.api]\ncommand = ['x']\n";
    let file = |needs: &str| format!("{programs}needs = {needs}\n");
    let settings = Setup::new(&file("{ migrate = 'finished', db = 'ready', chat-server = 'ready' }"))
        .load()
        .unwrap()
        .settings;
    assert_eq!(*settings.components["api"].needs, ["chat-server", "db", "migrate"]);
    for (needs, mistake) in [
        (
            "{ migrate = 'ready' }",
            "migrate is a one-shot, which is never ready; write migrate = \"finished\"",
        ),
        ("{ chat-server = 'finished' }", "chat-server is no one-shot, so it never finishes"),
        ("{ both = 'finished' }", "db is no one-shot"),
        ("{ nobody = 'ready' }", "nothing called 'nobody'"),
        ("{ db = 'done' }", "finished"),
        ("'db'", "a list of components and groups, or a table"),
    ] {
        let mistakes = Setup::new(&file(needs)).mistakes();
        assert!(
            mistakes.iter().any(|it| it.contains("needs") && it.contains(mistake)),
            "{needs}: {mistakes:#?}"
        );
    }
}

#[test]
fn every_key_of_a_component_is_explained_and_read_as_it_is_explained() {
    let from = DEFAULT_FILE.find("#   [components.bridge]").expect("there is an example");
    let example =
        DEFAULT_FILE[from..].lines().take_while(|line| line.starts_with("#   ")).map(|line| &line[4..]);
    let example: Vec<&str> = example.collect();
    for key in schema::COMPONENT.keys() {
        assert!(
            example.iter().any(|line| line.starts_with(&format!("{key} = "))),
            "{key} is not in the example"
        );
    }
    let setup = Setup::new(&example.join("\n")).dotenv("config/.env.bridge", "TOWN=Berlin\n");
    let loaded = setup.load().unwrap();
    assert_eq!(loaded.environment_of("bridge").len(), 2);
    assert!(loaded.settings.components["bridge"].probe.is_some());
}

#[test]
fn what_is_wrong_with_a_component_is_said_with_its_place() {
    let file = "[components.bot]\ncommand = 'bot'\nprobe = { http = 'https://a/' }\nliveness = { log = 'x' }\nrestart = 'sometimes'\n\
                [components.a]\ncommand = 'a'\nprobe = { tcp = 'a:1', http = 'http://a:1' }\nbackoff = '1h'\n\
                [components.chat-server]\ncommand = 'x'\nwatchdog = '1m'\n\
                [components.b]\ncommand = ''\nprobe = { intervall = '1s' }\n[services.x]\n\
                [components.c]\ncommand = 'c'\nliveness = { message = true }\n[thermometer]\nname = 'P2P-Probe'\n";
    let mistakes = Setup::new(file).mistakes();
    let expected = [
        ":3:9: components.bot.probe: http is written",
        ":4:12: components.bot.liveness: log probes are for readiness only",
        ":5:11: components.bot.restart: \"sometimes\" is not one of always, on-failure, never",
        ":8:9: components.a.probe: names one of http, tcp, exec and log",
        "components.a.backoff-max: is less than backoff",
        ":11:11: components.chat-server.command: chat-server is a built-in component",
        ":14:11: components.b.command: names no program",
        ":15:9: components.b.probe: unknown key 'intervall'; did you mean 'interval'?",
        ":16:2: unknown section 'services'; your own programs are [components.NAME]",
        ":19:12: components.c.liveness: only the liveness of chat-server and message-api takes message",
        ":21:8: thermometer.name: is reserved for the launcher's probe; choose another name",
    ];
    for text in expected {
        assert!(mistakes.iter().any(|mistake| mistake.contains(text)), "{text}\nis not in {mistakes:#?}");
    }
    assert_eq!(mistakes.len(), expected.len(), "{mistakes:#?}");
}

#[test]
fn the_file_may_refer_to_variables_of_the_environment_and_of_dotenv() {
    let file = "[openai-bot]\nbase-url = 'http://${HOST}/v1'\nmodel = '${MODEL:-small}'\n\
                [components.echo]\ncommand = ['echo', '$${HOST}']\nenv = { TOKEN = '${TOKEN}' }\n";
    let setup = Setup::new(file)
        .dotenv(".env", "HOST=from-file\nTOKEN=hunter22")
        .variable("HOST", "from-environment");
    let settings = setup.load().unwrap().settings;
    assert_eq!(settings.openai_bot.base_url, "http://from-environment/v1");
    assert_eq!(settings.openai_bot.model, "small");
    assert_eq!(settings.components["echo"].command, ["echo", "${HOST}"]);
    assert_eq!(settings.components["echo"].env["TOKEN"], "hunter22");
    let mistakes = Setup::new(file).variable("HOST", "x").mistakes();
    let expected = "config/launcher.toml:6:7: components.echo.env: ${TOKEN} is not set, neither in the environment nor in .env";
    assert_eq!(mistakes, [expected]);
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let mut setup = Setup::new("").variable("P2P_CONFIG", "missing.toml");
    assert!(setup.mistakes()[0].contains("missing.toml:1:1: no such file"), "{:?}", setup.mistakes());
    setup.request.config = Some("config/launcher.toml".into());
    assert!(setup.load().is_ok());
}
