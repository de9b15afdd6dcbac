//! Arbitrary texts of tRPC clients, with either transformer: reading them must not panic, and
//! what answers them must be JSON with the id that was asked with.

#![no_main]

use fanwire_wire::trpc::{
    ClientFrame, Method, ParseOptions, Response, Transformer, connection_params,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, u8, &str)| {
    let (superjson, max_batch, text) = input;
    let transformer = if superjson { Transformer::SuperJson } else { Transformer::None };
    let options = ParseOptions { transformer, max_batch: usize::from(max_batch) };
    let _ = connection_params(text);
    match ClientFrame::parse(text, &options) {
        Ok(ClientFrame::Messages(messages)) => {
            assert!(messages.len() <= usize::from(max_batch).max(1));
            for message in messages {
                let answer = Response::STARTED.encode(&message.envelope);
                let read: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
                assert_eq!(read["id"].is_null(), message.envelope.id.is_none());
                if let Method::Call(call) = message.method {
                    assert!(call.input.is_none_or(|input| text.contains(input.get())));
                }
            }
        }
        Ok(ClientFrame::TooLong(waiting)) => assert!(waiting.len() <= usize::from(max_batch)),
        Ok(ClientFrame::Ping | ClientFrame::Pong) => {}
        Err(error) => {
            let told = Response::unparsable(&error, transformer).encode(&Default::default());
            assert!(serde_json::from_str::<serde_json::Value>(&told).is_ok());
        }
    }
});
