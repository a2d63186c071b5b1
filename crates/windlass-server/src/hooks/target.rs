//! Where a webhook may lead: to the public internet, and nowhere near the
//! server.
//!
//! Looked at twice: when a subscription is made, and at each connection for the
//! addresses that the name then has, so that a name that leads elsewhere
//! tomorrow leads nowhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

/// Whether this machine itself may be called, without TLS, as somebody does who
/// tries things out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The public internet.
    Public,
    /// And this machine: only of a server that nobody else can reach.
    Local,
}

/// A URL that may be called.
///
/// # Errors
///
/// What is wrong with it, in a few words.
pub(crate) fn target(text: &str, reach: Reach) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is no URL")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user or a password");
    }
    let host = Host::of(url.host_str().ok_or("has no host")?);
    match url.scheme() {
        "https" if host.is_public() => Ok(url),
        "https" => Err("leads to a machine that is not public"),
        "http" if reach == Reach::Local && host.is_this_machine() => Ok(url),
        _ => Err("does not begin with `https://`"),
    }
}

/// The host of a URL, whose parser has brought every spelling of an address to
/// the usual one.
enum Host<'a> {
    Name(&'a str),
    Address(IpAddr),
}

impl<'a> Host<'a> {
    fn of(text: &'a str) -> Self {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        bare.parse().map_or(Self::Name(text), Self::Address)
    }

    fn is_public(&self) -> bool {
        match self {
            Self::Name(name) => !is_local_name(name),
            Self::Address(address) => is_public(*address),
        }
    }

    fn is_this_machine(&self) -> bool {
        match self {
            Self::Name(name) => name.eq_ignore_ascii_case(LOCALHOST),
            Self::Address(IpAddr::V4(address)) => address.octets()[..3] == [127, 0, 0],
            Self::Address(IpAddr::V6(_)) => false,
        }
    }
}

/// The addresses of a name that may be called; of one that has any other, none.
pub(super) fn allowed(name: &str, addresses: &[IpAddr], reach: Reach) -> bool {
    if reach == Reach::Local && name.eq_ignore_ascii_case(LOCALHOST) {
        return addresses.iter().all(IpAddr::is_loopback);
    }
    !addresses.is_empty() && addresses.iter().copied().all(is_public)
}

const LOCALHOST: &str = "localhost";

/// Names that lead to this machine or its neighbours, whoever is asked.
fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let endings = [".localhost", ".local", ".internal", ".home.arpa"];
    name == LOCALHOST || !name.contains('.') || endings.iter().any(|ending| name.ends_with(ending))
}

/// Whether an address is one of the public internet (RFC 6890 and the IANA
/// registries of special-purpose addresses).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_unspecified()
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast();
    // This network, shared by carriers, assigned by IETF, 6to4 relays,
    // benchmarks, and what is reserved.
    let reserved = a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a, b, c) == (192, 0, 0)
        || (a, b, c) == (192, 88, 99)
        || (a == 198 && (b == 18 || b == 19))
        || a >= 240;
    !special && !reserved
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(embedded) = embedded_v4(address) {
        return is_public_v4(embedded);
    }
    let [a, b, ..] = address.segments();
    // Global unicast, but for documentation, Teredo, ORCHID and what else the
    // block of protocols has.
    let global = a & 0xe000 == 0x2000;
    let documentation = (a, b) == (0x2001, 0x0db8) || a == 0x3fff;
    let protocols = a == 0x2001 && b < 0x0200;
    global && !documentation && !protocols
}

/// The IPv4 address that is in one of IPv6: mapped, translated (NAT64), or 6to4.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let join = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match (a, b, [c, d, e, f]) {
        (0, 0, [0, 0, 0, 0xffff]) | (0x64, 0xff9b, [0, 0, 0, 0]) => Some(join(g, h)),
        (0x2002, _, _) => Some(join(b, c)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str, reach: Reach) -> bool {
        target(text, reach).is_ok()
    }

    #[test]
    fn only_public_machines_are_called_and_only_over_tls() {
        for text in [
            "https://worker.example/hook?x=1",
            "https://8.8.8.8:8443/",
            "https://[2606:4700::1111]/",
        ] {
            assert!(answer(text, Reach::Public), "{text}");
        }
        let refused = [
            "http://worker.example/",
            "ftp://worker.example/",
            "https://user@worker.example/",
            "https://user:word@worker.example/",
            "worker.example",
            "https://",
            "file:///etc/passwd",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost/",
            "https://metadata.google.internal/",
            "https://printer.local/",
            "https://intranet/",
            "https://0.0.0.0/",
            "https://10.0.0.1/",
            "https://0x0a000001/",
            "https://167772161/",
            "https://100.64.0.1/",
            "https://127.0.0.1/",
            "https://169.254.169.254/latest/",
            "https://172.16.0.1/",
            "https://192.0.0.192/",
            "https://192.168.1.1/",
            "https://198.18.0.1/",
            "https://224.0.0.1/",
            "https://255.255.255.255/",
            "https://[::]/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[64:ff9b::a00:1]/",
            "https://[2002:a00:1::]/",
            "https://[2001:db8::1]/",
            "https://[fd00:ec2::254]/",
            "https://[fe80::1]/",
            "https://[ff02::1]/",
        ];
        for text in refused {
            assert!(!answer(text, Reach::Public), "{text}");
            assert!(!answer(text, Reach::Local), "{text}");
        }
    }

    #[test]
    fn this_machine_is_called_by_a_server_that_is_alone_on_it() {
        for text in [
            "http://localhost:3000/hook",
            "http://127.0.0.1:1/",
            "http://127.0.0.9/",
        ] {
            assert!(answer(text, Reach::Local), "{text}");
            assert!(!answer(text, Reach::Public), "{text}");
        }
        for text in [
            "http://127.0.1.1/",
            "http://[::1]/",
            "http://10.0.0.1/",
            "http://worker.example/",
        ] {
            assert!(!answer(text, Reach::Local), "{text}");
        }
    }

    #[test]
    fn a_name_with_one_address_that_is_not_public_leads_nowhere() {
        let public: IpAddr = [8, 8, 8, 8].into();
        let private: IpAddr = [10, 0, 0, 1].into();
        let own: IpAddr = [127, 0, 0, 1].into();
        for reach in [Reach::Public, Reach::Local] {
            assert!(allowed("worker.example", &[public], reach));
            assert!(!allowed("worker.example", &[], reach));
            assert!(!allowed("worker.example", &[private], reach));
            assert!(!allowed("worker.example", &[public, private], reach));
            assert!(!allowed("worker.example", &[own], reach));
        }
        assert!(allowed("localhost", &[own], Reach::Local));
        assert!(!allowed("localhost", &[own], Reach::Public));
        assert!(!allowed("localhost", &[public], Reach::Local));
    }
}
