//! A gateway for tests: it keeps what it is told.

use std::sync::Mutex;

use futures_util::future::{BoxFuture, ready};

use crate::websocket::{Body, Delivered, Gateway, Group, Recipients, SendError};

#[derive(Debug, Default)]
pub(crate) struct Recording {
    pub(crate) calls: Mutex<Vec<String>>,
    /// Connections that are gone.
    pub(crate) gone: Vec<&'static str>,
    /// Whether it has groups and broadcasts, as Fanwire's does and AWS's does not.
    pub(crate) groups: bool,
}

impl Recording {
    /// What it was told since it was last asked.
    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn note(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }

    fn send_one(&self, id: &str, body: &Body) -> Result<(), SendError> {
        if self.gone.contains(&id) {
            return Err(SendError::Gone { id: id.to_owned() });
        }
        self.note(format!("{id}: {}", String::from_utf8_lossy(body.as_bytes())));
        Ok(())
    }
}

impl Gateway for Recording {
    fn send<'a>(&'a self, to: &'a str, body: Body) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(ready(self.send_one(to, &body)))
    }

    fn send_to(&self, to: Recipients, body: Body) -> BoxFuture<'_, Result<Delivered, SendError>> {
        let mut delivered = Delivered::default();
        match to {
            Recipients::Ids(ids) => {
                for id in ids {
                    match self.send_one(&id, &body) {
                        Ok(()) => delivered.delivered += 1,
                        Err(_) => delivered.gone.push(id),
                    }
                }
            }
            _ if !self.groups => {
                return Box::pin(ready(Err(SendError::Unsupported("no groups"))));
            }
            other => self.note(format!("{other:?}: {}", String::from_utf8_lossy(body.as_bytes()))),
        }
        Box::pin(ready(Ok(delivered)))
    }

    fn close<'a>(
        &'a self,
        id: &'a str,
        code: u16,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), SendError>> {
        self.note(format!("{id} closed: {code} {reason}"));
        Box::pin(ready(Ok(())))
    }

    fn regroup<'a>(
        &'a self,
        id: &'a str,
        group: Group,
        member: bool,
    ) -> BoxFuture<'a, Result<(), SendError>> {
        if !self.groups {
            return Box::pin(ready(Err(SendError::Unsupported("no groups"))));
        }
        if self.gone.contains(&id) {
            return Box::pin(ready(Err(SendError::Gone { id: id.to_owned() })));
        }
        self.note(format!("{id} {} {group:?}", if member { "joins" } else { "leaves" }));
        Box::pin(ready(Ok(())))
    }
}
