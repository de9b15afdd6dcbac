//! What a port takes, and how it is found out what a client speaks.
//!
//! The server's own port speaks everything: the first byte of a connection says whether
//! TLS begins, and the first one under TLS, or without it, whether MQTT does. A port of the
//! broker's own speaks what its configuration says.

use std::io;
use std::sync::Arc;

use fanwire_app::model::{RealtimeListener, RealtimeProtocol};
use tokio::net::TcpStream;

use crate::listening::ListenerTls;
use crate::tls::{Acceptor, ClientStream};

/// The first byte of MQTT: a CONNECT packet. No method of HTTP begins with it, and TLS
/// begins with another.
const CONNECT_PACKET: u8 = 0x10;

/// A port, by what it takes.
#[derive(Clone)]
pub(crate) struct Port {
    takes: Takes,
    security: Security,
    /// Which it is: 0 for what has none, such as a Unix socket.
    number: u16,
    /// Whether it is for the App's functions and commands of this machine, and clients have
    /// others.
    is_internal: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Takes {
    /// HTTP, and MQTT in an App that has it.
    Everything,
    /// MQTT and nothing else.
    Mqtt,
    /// MQTT in WebSockets and nothing else.
    MqttInWebSockets,
    /// WebSockets to the API of this id, whatever their paths.
    Socket(Arc<str>),
}

#[derive(Clone)]
enum Security {
    /// No TLS.
    None,
    /// TLS where the client begins with it.
    Offered(Acceptor),
    /// Nothing but TLS.
    Required(Acceptor),
}

/// A client that has been accepted, and the first byte of what it sends, where that is
/// known already.
pub(crate) struct Opening {
    pub(crate) stream: std::net::TcpStream,
    pub(crate) first: Option<u8>,
}

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speech {
    Http,
    Mqtt,
}

// === impl Port ===

impl Port {
    /// The server's own, with TLS where there are certificates.
    pub(crate) fn of_server(number: u16, tls: Option<Acceptor>) -> Self {
        let security = tls.map_or(Security::None, Security::Offered);
        Self { takes: Takes::Everything, security, number, is_internal: false }
    }

    /// The same, where clients have listeners of their own.
    pub(crate) fn internal(self) -> Self {
        Self { is_internal: true, ..self }
    }

    /// Whether it is for functions and commands alone.
    pub(crate) fn is_internal(&self) -> bool {
        self.is_internal
    }

    /// One that clients of a server in production connect to. `None` where it is to speak TLS
    /// and there are no certificates.
    pub(crate) fn of_listener(
        number: u16,
        tls: ListenerTls,
        acceptor: Option<Acceptor>,
    ) -> Option<Self> {
        let security = match tls {
            ListenerTls::Never => Security::None,
            ListenerTls::Always => Security::Required(acceptor?),
        };
        Some(Self { takes: Takes::Everything, security, number, is_internal: false })
    }

    /// One of the broker's own. `None` where it is to speak TLS and there are no
    /// certificates.
    pub(crate) fn of_realtime(model: &RealtimeListener, tls: Option<Acceptor>) -> Option<Self> {
        let security = if model.tls { Security::Required(tls?) } else { Security::None };
        let takes = match model.protocol {
            RealtimeProtocol::Mqtt => Takes::Mqtt,
            RealtimeProtocol::WebSocket => Takes::MqttInWebSockets,
        };
        Some(Self { takes, security, number: model.address.port(), is_internal: false })
    }

    /// One of a WebSocket API's own, with TLS where there are certificates.
    pub(crate) fn of_socket(api_id: &str, number: u16, tls: Option<Acceptor>) -> Self {
        Self { takes: Takes::Socket(api_id.into()), ..Self::of_server(number, tls) }
    }

    /// Which it is; 0 for what has none.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// The id of the API that all requests are for, if there is one.
    pub(crate) fn socket(&self) -> Option<Arc<str>> {
        match &self.takes {
            Takes::Socket(id) => Some(Arc::clone(id)),
            _ => None,
        }
    }

    /// Whether requests are for the realtime endpoint alone.
    pub(crate) fn is_for_realtime_only(&self) -> bool {
        self.takes == Takes::MqttInWebSockets
    }

    /// Whether what a client sends is to be looked at for MQTT before anything else.
    pub(crate) fn may_be_bare(&self) -> bool {
        !matches!(self.security, Security::Required(_))
    }

    /// What a client without TLS speaks that begins with `first`, where it is MQTT or HTTP.
    pub(crate) fn speech_of(&self, first: u8) -> Option<Speech> {
        let mqtt = matches!(self.takes, Takes::Everything | Takes::Mqtt);
        let http = self.takes != Takes::Mqtt;
        match first {
            CONNECT_PACKET if mqtt => Some(Speech::Mqtt),
            // Of all methods only GET opens a WebSocket.
            b'G' if http => Some(Speech::Http),
            _ => None,
        }
    }

    /// Waits for what a client begins with: the handshake of TLS, and, where it may speak
    /// one or the other, the first byte of what comes after it, which stays to be read.
    pub(crate) async fn open(
        &self,
        opening: Opening,
        has_realtime: bool,
    ) -> io::Result<(ClientStream, Speech)> {
        let Opening { stream, first } = opening;
        let stream = TcpStream::from_std(stream)?;
        let (mut stream, first) = match &self.security {
            Security::None => (ClientStream::Plain(stream), first),
            Security::Offered(tls) => tls.accept(stream, first).await?,
            Security::Required(tls) => (tls.handshake(stream).await?, None),
        };
        let speech = match &self.takes {
            Takes::Mqtt => Speech::Mqtt,
            Takes::Everything if has_realtime => {
                let first = match first {
                    Some(first) => Some(first),
                    None => stream.first_byte().await?,
                };
                if first == Some(CONNECT_PACKET) { Speech::Mqtt } else { Speech::Http }
            }
            Takes::Everything | Takes::MqttInWebSockets | Takes::Socket(_) => Speech::Http,
        };
        Ok((stream, speech))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// What a port makes of a client that begins with `bytes`, and what is left to read.
    async fn open(port: &Port, has_realtime: bool, bytes: &[u8]) -> (Speech, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let opening = Opening { stream: accepted.into_std().unwrap(), first: None };
        let (mut stream, speech) = port.open(opening, has_realtime).await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        (speech, rest)
    }

    #[tokio::test]
    async fn the_first_byte_tells_mqtt_from_http_and_stays() {
        let port = Port::of_server(3001, None);
        for (bytes, speech) in
            [(b"\x10\x00", Speech::Mqtt), (b"GE", Speech::Http), (b"\x20\x00", Speech::Http)]
        {
            assert_eq!(open(&port, true, bytes).await, (speech, bytes.to_vec()));
        }
        assert_eq!(open(&port, true, b"").await.0, Speech::Http);
        assert_eq!(open(&port, false, b"\x10\x00").await.0, Speech::Http);
    }

    #[tokio::test]
    async fn a_port_of_the_brokers_own_speaks_one_thing() {
        let address = "127.0.0.1:0".parse().unwrap();
        let mut model = RealtimeListener { address, protocol: RealtimeProtocol::Mqtt, tls: false };
        let port = Port::of_realtime(&model, None).unwrap();
        assert_eq!(open(&port, true, b"GE").await, (Speech::Mqtt, b"GE".to_vec()));
        model.protocol = RealtimeProtocol::WebSocket;
        let port = Port::of_realtime(&model, None).unwrap();
        assert_eq!(open(&port, true, b"\x10\x00").await.0, Speech::Http);
        assert!(port.is_for_realtime_only());
        model.tls = true;
        assert!(Port::of_realtime(&model, None).is_none(), "there are no certificates");
    }
}
