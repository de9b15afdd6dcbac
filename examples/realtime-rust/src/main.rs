//! A lamp and its switch, which talk over MQTT 5: `house lamp` is the lamp, `house on` and `house off` the switch.

use std::error::Error;
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, Publish, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};

/// What the lamp is: retained, so that who comes later knows, too.
const STATE: &str = "house/lamp";
/// What it is to be.
const WISH: &str = "house/lamp/set";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("lamp") => lamp().await,
        Some(wish @ ("on" | "off")) => switch(wish).await,
        _ => Err("say `lamp`, `on` or `off`".into()),
    }
}

/// Does as it is told, until it is stopped.
async fn lamp() -> Result<()> {
    let (client, mut events) = join("lamp", "glow", WISH).await?;
    let say = async |state: &'static str| {
        println!("the lamp is {state}");
        client.publish(STATE, QoS::AtLeastOnce, true, state).await
    };
    say("off").await?;
    loop {
        match &*next(&mut events).await?.payload {
            b"on" => say("on").await?,
            b"off" => say("off").await?,
            other => println!("no idea what {:?} is", String::from_utf8_lossy(other)),
        }
    }
}

/// Wishes, and waits until it is so.
async fn switch(wish: &str) -> Result<()> {
    let (client, mut events) = join("switch", "click", STATE).await?;
    client.publish(WISH, QoS::AtLeastOnce, false, wish.to_owned()).await?;
    while next(&mut events).await?.payload != wish {}
    println!("the lamp is {wish}");
    client.disconnect().await?;
    // Until what is said is sent.
    while events.poll().await.is_ok() {}
    Ok(())
}

/// A client of the broker at `BROKER`, which is `localhost:3001` where that is not set. It is subscribed to `filter`.
async fn join(user: &str, password: &str, filter: &str) -> Result<(AsyncClient, EventLoop)> {
    let address = std::env::var("BROKER").unwrap_or_else(|_| "localhost:3001".to_owned());
    let (host, port) = address.split_once(':').ok_or("BROKER is to be HOST:PORT")?;
    let mut options = MqttOptions::new(user, host, port.parse()?);
    options.set_credentials(user, password);
    options.set_keep_alive(Duration::from_secs(30));
    let (client, mut events) = AsyncClient::new(options, 10);
    client.subscribe(filter, QoS::AtLeastOnce).await?;
    loop {
        if let Event::Incoming(Packet::SubAck(answer)) = events.poll().await? {
            return match answer.return_codes[..] {
                [SubscribeReasonCode::Success(_)] => Ok((client, events)),
                _ => Err("not allowed to subscribe; the server's log says why".into()),
            };
        }
    }
}

/// The next message. Sends what waits to be sent meanwhile.
async fn next(events: &mut EventLoop) -> Result<Publish> {
    loop {
        if let Event::Incoming(Packet::Publish(message)) = events.poll().await? {
            return Ok(message);
        }
    }
}
