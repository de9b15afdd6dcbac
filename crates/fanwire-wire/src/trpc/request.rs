//! What clients send, as they write it.

use serde_json::value::RawValue;

use super::{Id, ProcedureType, Transformer};

/// The call of a procedure, to be sent.
///
/// ```
/// use fanwire_wire::trpc::{CallRequest, Id, ProcedureType, Transformer};
/// use serde_json::value::to_raw_value;
///
/// let input = to_raw_value("a")?;
/// let call = CallRequest {
///     input: Some(&input),
///     last_event_id: Some("3"),
///     ..CallRequest::new(ProcedureType::Subscription, "room.messages")
/// };
/// assert_eq!(
///     call.encode(&Id::from(7), Transformer::None),
///     r#"{"id":7,"method":"subscription","params":{"input":"a","path":"room.messages","lastEventId":"3"}}"#,
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct CallRequest<'a> {
    /// How it is called.
    pub kind: ProcedureType,
    /// Its path, such as `room.messages`.
    pub path: &'a str,
    /// Its input. `None`: undefined, which JSON has no word for.
    pub input: Option<&'a RawValue>,
    /// What `superjson` is to know of the input: its `meta.values`, such as
    /// `{"since":["Date"]}`. Left out with another transformer.
    pub meta: Option<&'a RawValue>,
    /// The id of the last tracked event, where a subscription goes on. Since v11.
    pub last_event_id: Option<&'a str>,
}

/// Writes that a subscription is over: the one that was begun with this id.
pub fn encode_stop(id: &Id) -> String {
    format!(r#"{{"id":{id},"method":"subscription.stop"}}"#)
}

/// Writes the first message of a client whose URL has `connectionParams=1`.
///
/// ```
/// use fanwire_wire::trpc::{connection_params, encode_connection_params};
///
/// let params = Some(vec![("token".to_owned(), "T".to_owned())]);
/// let text = encode_connection_params(&params);
/// assert_eq!(text, r#"{"method":"connectionParams","data":{"token":"T"}}"#);
/// assert_eq!(connection_params(&text), Ok(params));
/// ```
pub fn encode_connection_params(params: &super::ConnectionParams) -> String {
    let mut out = r#"{"method":"connectionParams","data":"#.to_owned();
    match params {
        None => out.push_str("null"),
        Some(params) => {
            out.push('{');
            for (nth, (name, value)) in params.iter().enumerate() {
                out.push_str(if nth == 0 { "" } else { "," });
                push_string(&mut out, name);
                out.push(':');
                push_string(&mut out, value);
            }
            out.push('}');
        }
    }
    out.push('}');
    out
}

/// Writes messages as one: a batch, unless there is but one.
///
/// ```
/// use fanwire_wire::trpc::{Id, encode_batch, encode_stop};
///
/// let stop = encode_stop(&Id::from(1));
/// assert_eq!(encode_batch(std::slice::from_ref(&stop)), stop);
/// assert_eq!(encode_batch(&[stop.clone(), stop.clone()]), format!("[{stop},{stop}]"));
/// ```
pub fn encode_batch(messages: &[String]) -> String {
    match messages {
        [message] => message.clone(),
        _ => format!("[{}]", messages.join(",")),
    }
}

// === impl CallRequest ===

impl<'a> CallRequest<'a> {
    /// A call without input.
    pub fn new(kind: ProcedureType, path: &'a str) -> Self {
        Self { kind, path, input: None, meta: None, last_event_id: None }
    }

    /// The text to send.
    pub fn encode(&self, id: &Id, transformer: Transformer) -> String {
        let length = self.path.len() + self.input.map_or(0, |input| input.get().len());
        let mut out = String::with_capacity(length + 96);
        out.push_str(r#"{"id":"#);
        out.push_str(&id.to_string());
        out.push_str(r#","method":""#);
        out.push_str(self.kind.as_str());
        out.push_str(r#"","params":{"#);
        let undefined = self.input.is_none();
        if !undefined || transformer != Transformer::None {
            let json = self.input.map_or("null", RawValue::get);
            let meta = match (undefined, self.meta) {
                (true, _) => Some(r#"{"values":["undefined"]}"#.to_owned()),
                (false, meta) => meta.map(|values| format!(r#"{{"values":{values},"v":1}}"#)),
            };
            out.push_str(r#""input":"#);
            transformer.write(|out| out.push_str(json), meta.as_deref(), &mut out);
            out.push(',');
        }
        out.push_str(r#""path":"#);
        push_string(&mut out, self.path);
        if let Some(last) = self.last_event_id {
            out.push_str(r#","lastEventId":"#);
            push_string(&mut out, last);
        }
        out.push_str("}}");
        out
    }
}

fn push_string(out: &mut String, text: &str) {
    // A string always has a JSON.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::to_raw_value;

    use super::super::{ClientFrame, Method, ParseOptions};
    use super::*;

    proptest! {
        #[test]
        fn what_a_client_writes_is_what_a_server_reads(
            path in ".*",
            input in proptest::option::of(".*"),
            last in proptest::option::of(".*"),
            number: u64,
            superjson: bool,
        ) {
            let transformer = if superjson { Transformer::SuperJson } else { Transformer::None };
            let input = input.map(|text| to_raw_value(&text).unwrap());
            let call = CallRequest {
                kind: ProcedureType::Subscription,
                path: &path,
                input: input.as_deref(),
                meta: None,
                last_event_id: last.as_deref(),
            };
            let id = Id::from(number);
            let text = encode_batch(&[call.encode(&id, transformer), encode_stop(&id)]);
            let options = ParseOptions { transformer, ..ParseOptions::default() };
            let Ok(ClientFrame::Messages(messages)) = ClientFrame::parse(&text, &options) else {
                panic!("{text}");
            };
            let Method::Call(read) = &messages[0].method else { panic!("{text}") };
            prop_assert_eq!(&*read.path, &path);
            prop_assert_eq!(read.input.map(RawValue::get), input.as_deref().map(RawValue::get));
            prop_assert_eq!(read.last_event_id.as_deref(), last.as_deref());
            prop_assert_eq!(&messages[0].envelope.id, &Some(id));
            prop_assert!(matches!(messages[1].method, Method::Stop));
        }
    }
}
