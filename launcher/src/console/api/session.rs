//! What this console is, and how the page gets in.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::console::app::App;
use crate::console::input::Nothing;
use crate::console::problem::Problem;

/// What this console is.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::console) struct Session {
    /// The launcher's version.
    version: &'static str,
    /// This run of the launcher.
    run_id: Uuid,
    /// The data directory.
    data: String,
    /// Whether it only shows, and changes nothing.
    read_only: bool,
}

/// The code of a login link.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct Login {
    /// What follows `#login=` in the link.
    code: String,
}

/// What lets one in.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::console) struct Token {
    /// To be sent as `Authorization: Bearer TOKEN`; empty where none is needed.
    token: String,
}

pub(in crate::console) async fn session(app: Arc<App>, _: Nothing) -> Result<Session, Problem> {
    Ok(Session {
        version: env!("CARGO_PKG_VERSION"),
        run_id: app.looker.look().await?.run_id,
        data: app.setting.data.display().to_string(),
        read_only: app.is_read_only(),
    })
}

pub(in crate::console) async fn login(app: Arc<App>, login: Login) -> Result<Token, Problem> {
    let Some(token) = app.token()? else { return Ok(Token { token: String::new() }) };
    let opened = {
        let mut logins = app.logins.lock().unwrap_or_else(PoisonError::into_inner);
        logins.open(&token, &login.code, SystemTime::now())
    };
    match opened {
        Ok(()) => {
            tracing::info!("the console: a login link was used");
            Ok(Token { token: token.expose().to_owned() })
        }
        Err(error) => Err(app.failed_attempt(ANYBODY, &error.to_string())),
    }
}

/// Links cannot be guessed; wrong ones are counted together.
const ANYBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
