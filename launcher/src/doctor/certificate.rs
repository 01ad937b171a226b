//! Checks the certificate of our ports with TLS, and whether ports without it are open to other machines.

use std::time::{Duration, SystemTime};

use kit::Exit;
use kit::tls::pair;
use kit::tls::validity::Age;

use super::Finding;
use crate::config::Loaded;
use crate::config::exposure::{Exposed, exposed};

const CHECK: &str = "TLS certificate";
const DAY: u64 = 86_400;

/// Whether the configured pair can be used, and for how long; `None` if there is none.
pub(super) fn certificate(loaded: &Loaded) -> Option<Finding> {
    let files = loaded.settings.tls.files(&loaded.directories.data)?;
    let pair = match pair::load(&files) {
        Ok(pair) => pair,
        Err(error) => {
            let advice = "running servers keep the certificate before it; they do not start with this one";
            return Some(Finding::fail(CHECK, kit::failure::chain(&error), advice).with_exit(Exit::Config));
        }
    };
    let file = files.certificate.display().to_string();
    Some(match pair.validity.map(|validity| validity.age(SystemTime::now())) {
        None => Finding::warn(
            CHECK,
            format!("{file}: its dates cannot be read"),
            "check it with openssl x509 -dates",
        ),
        Some(age) => aged(&file, age),
    })
}

/// Whether a port without TLS is open to other machines.
pub(super) fn plain_ports(loaded: &Loaded) -> Option<Finding> {
    let risks: Vec<String> = exposed(&loaded.settings).iter().map(Exposed::risk).collect();
    let advice = "set the port with TLS in its place (tls-listen), unless the network is yours or a TLS proxy is before it: docs/tls.md";
    (!risks.is_empty()).then(|| Finding::warn("plain text", risks.join("\n"), advice))
}

fn aged(file: &str, age: Age) -> Finding {
    let renew = "renew it; running servers use the new files by themselves";
    let days = |time: Duration| match time.as_secs() / DAY {
        1 => "1 day".to_owned(),
        count => format!("{count} days"),
    };
    match age {
        Age::Fine => Finding::ok(CHECK, format!("{file}: more than a third of its lifetime is left")),
        Age::Late(left) => Finding::warn(CHECK, format!("{file}: expires in {}", days(left)), renew),
        Age::Expired(past) => Finding::fail(CHECK, format!("{file}: expired {} ago", days(past)), renew),
        Age::Early => {
            let advice = "set the clock of this machine, or wait";
            Finding::fail(CHECK, format!("{file}: not valid yet by this machine's clock"), advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_certificate_is_complained_about_before_it_expires() {
        let days = |count: u64| Duration::from_secs(count * DAY);
        let told = |age| (aged("c", age).verdict, aged("c", age).found);
        assert_eq!(told(Age::Fine).0, Verdict::Ok);
        assert_eq!(told(Age::Late(days(1))), (Verdict::Warn, "c: expires in 1 day".to_owned()));
        assert_eq!(told(Age::Expired(days(2))), (Verdict::Fail, "c: expired 2 days ago".to_owned()));
        assert_eq!(told(Age::Early).0, Verdict::Fail);
    }
}
