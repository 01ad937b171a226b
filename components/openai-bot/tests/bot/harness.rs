//! A running bot and its environment.

use std::time::Duration;

use kit::{Failure, Secret};
use openai_bot::{Config, Credentials, Upstream};
use protocol::{Event, MessageType};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use transport::testing::{FakeServers, name};

use crate::script::{Endpoint, Script};

pub(crate) const ME: &str = "openai";
pub(crate) const KEY: &str = "sk-test-key";

/// A bot, its servers and its model.
pub(crate) struct Stage {
    pub(crate) servers: FakeServers,
    pub(crate) endpoint: Endpoint,
    config: Config,
    bot: Option<Bot>,
}

struct Bot {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), Failure>>,
}

impl Stage {
    /// A running bot whose model plays these scripts.
    pub(crate) async fn with(scripts: impl IntoIterator<Item = Script>) -> Self {
        Self::configured(scripts, |_| {}).await
    }

    pub(crate) async fn configured(
        scripts: impl IntoIterator<Item = Script>,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let servers = FakeServers::start().await;
        let endpoint = Endpoint::start(scripts).await;
        let mut config = Config {
            base_url: endpoint.base_url(),
            model: "test-model".to_owned(),
            connect_timeout: Duration::from_secs(1),
            first_token_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(5),
            ..Config::default()
        };
        change(&mut config);
        let mut stage = Self { servers, endpoint, config, bot: None };
        stage.start_bot();
        stage.servers.online(ME).await;
        stage
    }

    pub(crate) fn start_bot(&mut self) {
        let shutdown = CancellationToken::new();
        let upstream = Upstream { chat: self.servers.chat, api: self.servers.api };
        let credentials = Credentials { api_key: Secret::new(KEY.to_owned()) };
        let context = self.servers.context(shutdown.clone());
        let task = tokio::spawn(openai_bot::run(self.config.clone(), upstream, credentials, context));
        self.bot = Some(Bot { shutdown, task });
    }

    pub(crate) async fn stop_bot(&mut self) {
        let bot = self.bot.take().unwrap();
        bot.shutdown.cancel();
        bot.task.await.unwrap().unwrap();
    }

    pub(crate) fn say(&self, from: &str, text: &str) -> Event {
        self.servers.say(from, ME, MessageType::Chat, text)
    }

    /// The first part of the answer to a message.
    pub(crate) async fn answer_to(&self, question: &Event) -> Event {
        self.part_of(question, 1).await
    }

    pub(crate) async fn part_of(&self, question: &Event, part: usize) -> Event {
        let id = match part {
            1 => format!("re-{}", question.id),
            part => format!("re-{}-{part}", question.id),
        };
        let me = name(ME);
        self.servers.until(|world| world.events_of(&me).find(|e| e.client_id.as_str() == id).cloned()).await
    }

    /// Asks as alice and returns the text of the answer.
    pub(crate) async fn ask(&self, text: &str) -> String {
        let question = self.say("alice", text);
        let answer = self.answer_to(&question).await;
        assert_eq!((answer.kind, answer.dm_receiver()), (MessageType::Chat, Some("alice")));
        assert!(!answer.body.as_str().contains(KEY), "the key is told");
        answer.body.to_string()
    }
}
