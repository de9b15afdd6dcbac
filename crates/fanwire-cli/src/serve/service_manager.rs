//! What a service manager, such as systemd, is told of a server's life (sd_notify(3)), where
//! there is one: who waits for `Type=notify` starts nothing before the server is ready, and
//! who watches ends a server that has stopped to answer. Without one, all of this does
//! nothing.

use std::time::Duration;

use sd_notify::NotifyState;

/// Tells the service manager.
pub(super) fn tell(state: NotifyState<'_>) {
    // A manager that does not listen is no reason not to serve.
    let _ = sd_notify::notify(&[state]);
}

/// Tells the service manager that what the server is told by is read again: it takes that for
/// begun at this moment of the monotonic clock.
pub(super) fn tell_reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        let _ = sd_notify::notify(&[NotifyState::Reloading, now]);
    }
}

/// Says for ever that the server is alive, as often as the manager wants to hear it: from
/// the runtime that answers requests, so that it falls silent with it.
pub(super) async fn keep_alive() {
    let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()) else {
        return std::future::pending().await;
    };
    let mut ticks = tokio::time::interval((limit / 2).max(Duration::from_millis(1)));
    loop {
        ticks.tick().await;
        tell(NotifyState::Watchdog);
    }
}
