//! Parses the header that names the client behind a proxy: HAProxy's PROXY protocol, versions 1 and 2
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>). Accept it only from listed addresses.
//!
//! Pure: bytes in, an address out. Further fields of version 2 are ignored.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest header that is read, in bytes. Version 1 has at most 107; version 2 may carry more than addresses.
pub const LONGEST: usize = 2048;

const LONGEST_TEXT: usize = 107;
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, version and command, family and protocol, and the length of the rest.
const FIXED: usize = 16;

/// The result of parsing the bytes so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// More bytes are needed.
    Incomplete,
    /// The client, and the length of the header in bytes. No client if the connection is the proxy's own, as in a health check, or the
    /// client is unknown.
    Header(Option<SocketAddr>, usize),
    /// Not a PROXY header.
    Invalid,
}

/// Parses a header at the start of the input.
#[must_use]
pub fn parse(bytes: &[u8]) -> Parsed {
    let begins_as = |what: &[u8]| {
        let count = what.len().min(bytes.len());
        bytes[..count] == what[..count]
    };
    if begins_as(SIGNATURE) {
        parse_binary(bytes)
    } else if begins_as(b"PROXY ") {
        parse_text(bytes)
    } else {
        Parsed::Invalid
    }
}

fn parse_text(bytes: &[u8]) -> Parsed {
    let line = &bytes[..bytes.len().min(LONGEST_TEXT)];
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < LONGEST_TEXT { Parsed::Incomplete } else { Parsed::Invalid };
    };
    let Ok(text) = std::str::from_utf8(&line[..end]) else { return Parsed::Invalid };
    let fields: Vec<&str> = text.split(' ').collect();
    match fields[..] {
        ["PROXY", "UNKNOWN", ..] => Parsed::Header(None, end + 2),
        ["PROXY", family @ ("TCP4" | "TCP6"), source, destination, from, to] => {
            let address = |ip: &str, port: &str| {
                let ip: IpAddr = ip.parse().ok()?;
                // Only digits: `parse` would accept a sign.
                let port = port.bytes().all(|b| b.is_ascii_digit()).then(|| port.parse().ok())??;
                (ip.is_ipv4() == (family == "TCP4")).then(|| SocketAddr::new(ip, port))
            };
            match (address(source, from), address(destination, to)) {
                (Some(client), Some(_)) => Parsed::Header(Some(client), end + 2),
                (Some(_) | None, _) => Parsed::Invalid,
            }
        }
        _ => Parsed::Invalid,
    }
}

fn parse_binary(bytes: &[u8]) -> Parsed {
    let Some(fixed) = bytes.get(..FIXED) else { return Parsed::Incomplete };
    let length = FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > LONGEST || fixed[12] >> 4 != 2 {
        return Parsed::Invalid;
    }
    let Some(header) = bytes.get(..length) else { return Parsed::Incomplete };
    let addresses = &header[FIXED..];
    let client = match (fixed[12] & 0xf, fixed[13]) {
        // The proxy's own connection.
        (0, _) => None,
        // A stream over IPv4: two addresses, two ports.
        (1, 0x11) => match addresses {
            [a, b, c, d, _, _, _, _, high, low, _, _, ..] => {
                let port = u16::from_be_bytes([*high, *low]);
                Some(SocketAddr::new(Ipv4Addr::new(*a, *b, *c, *d).into(), port))
            }
            _ => return Parsed::Invalid,
        },
        (1, 0x21) => {
            let (Some(source), Some(port)) = (addresses.first_chunk::<16>(), addresses.get(32..34)) else {
                return Parsed::Invalid;
            };
            if addresses.len() < 36 {
                return Parsed::Invalid;
            }
            let port = u16::from_be_bytes([port[0], port[1]]);
            Some(SocketAddr::new(Ipv6Addr::from(*source).into(), port))
        }
        // Neither: unknown, or not TCP over IP.
        (1, _) => None,
        (_, _) => return Parsed::Invalid,
    };
    Parsed::Header(client, length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client(text: &str) -> Option<SocketAddr> {
        Some(text.parse().unwrap())
    }

    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[0x20 | command, family], &length, rest].concat()
    }

    #[test]
    fn headers_as_proxies_send_them() {
        let four = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 5000\r\nalice\n";
        assert_eq!(parse(four), Parsed::Header(client("192.0.2.7:56324"), four.len() - 6));
        let six = b"PROXY TCP6 2001:db8::7 2001:db8::1 1 5000\r\n";
        assert_eq!(parse(six), Parsed::Header(client("[2001:db8::7]:1"), six.len()));
        assert_eq!(parse(b"PROXY UNKNOWN\r\n{"), Parsed::Header(None, 15));
        let four = binary(1, 0x11, &[192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 4, 0x13, 0x88, 0x20, 0, 0]);
        assert_eq!(parse(&four), Parsed::Header(client("192.0.2.7:56324"), 31), "with what else it says");
        let mut addresses = [0; 36];
        (addresses[15], addresses[33]) = (1, 9);
        assert_eq!(parse(&binary(1, 0x21, &addresses)), Parsed::Header(client("[::1]:9"), 52));
        assert_eq!(parse(&binary(0, 0, &[])), Parsed::Header(None, 16), "a health check");
    }

    #[test]
    fn what_is_no_header_is_refused_and_nothing_long_is_waited_for() {
        for wrong in [
            &b"alice\n"[..],
            b"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 +1 2\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 1 65536\r\n",
            &[b"PROXY TCP4 ", &[b'1'; 200][..]].concat(),
            &binary(1, 0x11, &[1, 2, 3]),
            &binary(1, 0x21, &[0; 35]),
            &binary(2, 0x11, &[0; 12]),
            &[SIGNATURE, &[0x11, 0x11, 0, 12]].concat(),
            &[SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat(),
        ] {
            assert_eq!(parse(wrong), Parsed::Invalid, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_bounded_and_a_part_of_a_header_is_incomplete(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            cut in 0usize..52,
        ) {
            if let Parsed::Header(_, length) = parse(&bytes) {
                prop_assert!(length <= bytes.len() && length <= LONGEST);
            }
            let whole = binary(1, 0x21, &[7; 36]);
            prop_assert_eq!(parse(&whole[..cut]), Parsed::Incomplete);
            let text = b"PROXY TCP6 2001:db8::7 2001:db8::1 1 5000\r\n";
            prop_assert_eq!(parse(&text[..cut.min(text.len() - 1)]), Parsed::Incomplete);
        }

        #[test]
        fn bytes_behind_a_signature_are_bounded(rest in prop::collection::vec(any::<u8>(), 0..100)) {
            let bytes = [SIGNATURE, &rest[..]].concat();
            if let Parsed::Header(_, length) = parse(&bytes) {
                prop_assert!(length <= bytes.len());
            }
        }
    }
}
