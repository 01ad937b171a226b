//! Which network interfaces are used: `lan-peer.interfaces`.
//!
//! Without a word from the operator it is every interface that leads to a network of machines. Point-to-point links and tunnels (VPNs)
//! are left out: what is behind them is not the network that this machine stands in, and announcements there tell strangers of it.

/// Interfaces whose names begin so are tunnels, whatever flags the system gives them.
const TUNNELS: [&str; 6] = ["tun", "utun", "wg", "ppp", "ipsec", "tailscale"];

/// What the operator chose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Only these; empty for every one that is no tunnel.
    only: Vec<String>,
    /// None of these.
    without: Vec<String>,
}

impl Choice {
    /// Reads `NAME`, `!NAME`, and either with `*` at its end for all that begin so.
    pub(crate) fn of(list: &[String]) -> Self {
        let without = list.iter().filter_map(|name| name.strip_prefix('!')).map(str::to_owned).collect();
        Self { only: list.iter().filter(|name| !name.starts_with('!')).cloned().collect(), without }
    }

    /// Whether a text of the configuration means interfaces.
    pub(crate) fn is_pattern(text: &str) -> bool {
        let pattern = text.strip_prefix('!').unwrap_or(text);
        let name = pattern.strip_suffix('*').unwrap_or(pattern);
        let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '*' | '!' | '/');
        !pattern.is_empty() && name.len() <= 15 && name.chars().all(fits)
    }

    /// Whether an interface is used.
    pub(crate) fn takes(&self, name: &str, is_point_to_point: bool) -> bool {
        let is_among = |list: &[String]| list.iter().any(|pattern| is_meant(pattern, name));
        if is_among(&self.without) {
            return false;
        }
        if self.only.is_empty() {
            return !is_point_to_point && !TUNNELS.iter().any(|tunnel| name.starts_with(tunnel));
        }
        is_among(&self.only)
    }
}

fn is_meant(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |beginning| name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(list: &[&str]) -> Vec<&'static str> {
        let choice = Choice::of(&list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        let all = [
            ("eth0", false),
            ("wlan0", false),
            ("docker0", false),
            ("tun0", true),
            ("wg0", false),
            ("p0", true),
        ];
        all.into_iter().filter(|(name, flag)| choice.takes(name, *flag)).map(|(name, _)| name).collect()
    }

    #[test]
    fn tunnels_are_used_only_when_they_are_named() {
        assert_eq!(taken(&[]), ["eth0", "wlan0", "docker0"]);
        assert_eq!(taken(&["wg0", "eth0"]), ["eth0", "wg0"]);
        assert_eq!(taken(&["p0"]), ["p0"]);
        assert_eq!(taken(&["!docker*"]), ["eth0", "wlan0"]);
        assert_eq!(taken(&["*", "!eth0"]), ["wlan0", "docker0", "tun0", "wg0", "p0"]);
        assert!(taken(&["eth1"]).is_empty());
    }

    #[test]
    fn names_of_interfaces_are_told_from_other_texts() {
        for good in ["eth0", "!eth0", "docker*", "!docker*", "*", "br-1a2b", "eth0.7"] {
            assert!(Choice::is_pattern(good), "{good}");
        }
        for bad in ["", "!", "eth 0", "a/b", "!!eth0", "e*0", "a-name-that-is-too-long"] {
            assert!(!Choice::is_pattern(bad), "{bad}");
        }
    }
}
