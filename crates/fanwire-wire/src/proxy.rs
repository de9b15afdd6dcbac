//! The header that a proxy puts before a connection's own bytes to say who its client is: the
//! PROXY protocol, in the text form of version 1 and the binary form of version 2.
//!
//! Nothing says where the header ends but the header itself, and what follows it belongs to
//! whoever speaks next. So [`read`] is asked again and again with what there is, and says how
//! much more is the header's for sure.

use std::net::SocketAddr;

/// The longest header of version 1, its end of line included (PROXY protocol, section 2.1).
const MAX_TEXT_BYTES: usize = 107;

/// The shortest: `PROXY UNKNOWN` and an end of line.
const MIN_TEXT_BYTES: usize = 15;

/// What a header of version 2 begins with, up to the length of its rest (section 2.2).
const BINARY_HEAD_BYTES: usize = 16;

/// The longest rest of such a header that is taken: two addresses, and what proxies add.
const MAX_BINARY_REST: usize = 4096;

/// How far a header is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many more bytes are its own, at the least; never 0.
    Wants(usize),
    /// It is whole: who the client is. `None` where the proxy speaks for itself, as it does to
    /// see whether the server is there.
    Client(Option<SocketAddr>),
}

/// What a connection begins with is no PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection does not begin with a PROXY header")]
pub struct NoHeader;

/// Reads what there is of a header: nothing at first, and then as much more each time as was
/// [wanted](Progress::Wants).
///
/// # Errors
///
/// [`NoHeader`], as soon as that is certain.
pub fn read(header: &[u8]) -> Result<Progress, NoHeader> {
    match header.first() {
        None => Ok(Progress::Wants(1)),
        Some(b'P') => text(header),
        Some(b'\r') => binary(header),
        Some(_) => Err(NoHeader),
    }
}

fn text(header: &[u8]) -> Result<Progress, NoHeader> {
    use ppp::v1::{Addresses, Header};
    if let Some(missing) = MIN_TEXT_BYTES.checked_sub(header.len()).filter(|missing| *missing > 0) {
        return Ok(Progress::Wants(missing));
    }
    if !header.ends_with(b"\r\n") {
        let is_full = header.len() >= MAX_TEXT_BYTES;
        return if is_full { Err(NoHeader) } else { Ok(Progress::Wants(1)) };
    }
    let header = Header::try_from(header).map_err(|_| NoHeader)?;
    Ok(Progress::Client(match header.addresses {
        Addresses::Tcp4(both) => Some((both.source_address, both.source_port).into()),
        Addresses::Tcp6(both) => Some((both.source_address, both.source_port).into()),
        Addresses::Unknown => None,
    }))
}

fn binary(header: &[u8]) -> Result<Progress, NoHeader> {
    use ppp::v2::{Addresses, Command, Header};
    let length = match header.get(14..BINARY_HEAD_BYTES) {
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
        _ => return Ok(Progress::Wants(BINARY_HEAD_BYTES - header.len())),
    };
    if length > MAX_BINARY_REST {
        return Err(NoHeader);
    }
    let missing = (BINARY_HEAD_BYTES + length).saturating_sub(header.len());
    if missing > 0 {
        return Ok(Progress::Wants(missing));
    }
    let header = Header::try_from(header).map_err(|_| NoHeader)?;
    Ok(Progress::Client(match (header.command, header.addresses) {
        (Command::Proxy, Addresses::IPv4(both)) => {
            Some((both.source_address, both.source_port).into())
        }
        (Command::Proxy, Addresses::IPv6(both)) => {
            Some((both.source_address, both.source_port).into())
        }
        _ => None,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Who the client is, and what is left of `bytes`, to whoever reads as much as is wanted.
    fn whole(mut bytes: &[u8]) -> Result<(Option<SocketAddr>, &[u8]), NoHeader> {
        let mut header = Vec::new();
        loop {
            match read(&header)? {
                Progress::Client(client) => return Ok((client, bytes)),
                Progress::Wants(more) => {
                    assert_ne!(more, 0);
                    let (taken, rest) = bytes.split_at_checked(more).ok_or(NoHeader)?;
                    header.extend(taken);
                    bytes = rest;
                }
            }
        }
    }

    #[test]
    fn a_header_of_either_version_says_who_the_client_is_and_leaves_the_rest() {
        let text = b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\nGET /";
        let client = Some("192.0.2.7:56324".parse().unwrap());
        assert_eq!(whole(text), Ok((client, b"GET /".as_slice())));
        let text = b"PROXY TCP6 2001:db8::7 2001:db8::1 1 443\r\n";
        let client = Some("[2001:db8::7]:1".parse().unwrap());
        assert_eq!(whole(text), Ok((client, b"".as_slice())));
        let mut binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0f".to_vec();
        // Two addresses and ports, and a value that a proxy added.
        binary.extend([192, 0, 2, 7, 192, 0, 2, 1, 0, 80, 1, 187, 0x04, 0, 0]);
        binary.extend(b"\x10");
        let client = Some("192.0.2.7:80".parse().unwrap());
        assert_eq!(whole(&binary), Ok((client, b"\x10".as_slice())));
    }

    #[test]
    fn a_proxy_that_speaks_for_itself_names_nobody() {
        assert_eq!(whole(b"PROXY UNKNOWN\r\n"), Ok((None, b"".as_slice())));
        let local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";
        assert_eq!(whole(local), Ok((None, b"".as_slice())));
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let endless = [b"PROXY ".as_slice(), &[b'x'; 200]].concat();
        let long = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff";
        for bytes in
            [b"GET / HTTP/1.1\r\n".as_slice(), b"PROXY TCP4 x\r\n", &endless, long, b"", b"PRO"]
        {
            assert_eq!(whole(bytes), Err(NoHeader), "{}", String::from_utf8_lossy(bytes));
        }
    }

    proptest! {
        #[test]
        fn a_client_is_found_and_no_byte_behind_the_header_is_taken(
            client: SocketAddr, rest: Vec<u8>,
        ) {
            // Where a text form has room for neither scope nor flow.
            let client = SocketAddr::new(client.ip(), client.port());
            let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
            let (ip, port) = (client.ip(), client.port());
            let mut bytes = format!("PROXY {family} {ip} {ip} {port} 443\r\n").into_bytes();
            bytes.extend(&rest);
            prop_assert_eq!(whole(&bytes), Ok((Some(client), rest.as_slice())));
        }
    }
}
