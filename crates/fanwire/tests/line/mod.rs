//! A way to a server that can be cut off.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct Line {
    /// Where clients find it.
    pub(crate) address: SocketAddr,
    /// Connections end when it changes, and there are none while it is false.
    open: watch::Sender<bool>,
}

impl Line {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (open, watched) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut open = watched.clone();
                if *open.borrow_and_update() {
                    tokio::spawn(carry(client, server, open));
                }
            }
        });
        Self { address, open }
    }

    pub(crate) fn cut(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn mend(&self) {
        self.open.send_replace(true);
    }
}

async fn carry(mut client: TcpStream, server: SocketAddr, mut open: watch::Receiver<bool>) {
    let mut server = TcpStream::connect(server).await.unwrap();
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        _ = open.changed() => {}
    }
}
