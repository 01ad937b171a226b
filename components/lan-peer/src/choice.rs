//! Which network interfaces are used: `lan-peer.interfaces`.
//!
//! The default is every interface except point-to-point links and tunnels (VPNs): they lead to other networks, and announcements there
//! would reveal this machine to strangers.

/// Name prefixes of tunnels, whatever flags the system reports.
const TUNNELS: [&str; 6] = ["tun", "utun", "wg", "ppp", "ipsec", "tailscale"];

/// The configured selection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Only these; empty for all but tunnels.
    only: Vec<String>,
    /// Excluded interfaces.
    without: Vec<String>,
}

impl Choice {
    /// Parses `NAME` and `!NAME`, each optionally with a trailing `*` as a wildcard.
    pub(crate) fn of(list: &[String]) -> Self {
        let without = list.iter().filter_map(|name| name.strip_prefix('!')).map(str::to_owned).collect();
        Self { only: list.iter().filter(|name| !name.starts_with('!')).cloned().collect(), without }
    }

    /// Whether a configuration value is an interface pattern.
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
    fn interface_patterns_are_recognised() {
        for good in ["eth0", "!eth0", "docker*", "!docker*", "*", "br-1a2b", "eth0.7"] {
            assert!(Choice::is_pattern(good), "{good}");
        }
        for bad in ["", "!", "eth 0", "a/b", "!!eth0", "e*0", "a-name-that-is-too-long"] {
            assert!(!Choice::is_pattern(bad), "{bad}");
        }
    }
}
