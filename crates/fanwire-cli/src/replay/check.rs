//! A recorded session as a test: the clients do again what they did, each step once
//! what was recorded before it has happened, and what comes of it is compared.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::clients::{Act, Client};
use super::live::{Key, Kind, Live, Numbers};
use super::recording::{Payload, Recording, Side, Step};
use super::server::OwnServer;
use super::{Difference, Mask};
use crate::args::ReplayArgs;
use crate::client::{Address, CommandError, Server, encoded};

/// A silence this long after the last step is taken for the end.
const QUIET: Duration = Duration::from_millis(500);

/// Codes that the gateway itself closes with: for time that has passed or a server that
/// stops (1001), and for frames that it does not take, which no recording has. A check
/// asks for such a close.
const GATEWAYS_OWN: [u16; 5] = [1001, 1002, 1003, 1007, 1009];

pub(super) async fn run(
    args: &ReplayArgs,
    recording: &Recording,
) -> Result<ExitCode, CommandError> {
    let is_elsewhere = args.server.url.is_some() || args.server.data.is_some();
    if is_elsewhere {
        return check(args, recording, &Server::find(&args.server)?).await;
    }
    let stage = args.stage.as_deref().or_else(|| recording.app["stage"].as_str());
    let (own, server) = OwnServer::start(args.path.as_deref(), stage).await?;
    let checked = check(args, recording, &server).await;
    own.stop().await;
    checked
}

async fn check(
    args: &ReplayArgs,
    recording: &Recording,
    server: &Server,
) -> Result<ExitCode, CommandError> {
    let app = server.app().await?;
    let mut run = Run {
        args,
        server,
        paths: paths(&app),
        live: Live::new(server.listen("traffic").await?),
        clients: HashMap::new(),
        numbers: Numbers::default(),
        counts: HashMap::new(),
        given_up: HashSet::new(),
    };
    for step in &recording.steps {
        run.step(step).await?;
    }
    run.live.settle(QUIET).await?;
    let differences = run.compare(recording);
    for difference in &differences {
        difference.print(args.json)?;
    }
    let steps = recording.steps.len();
    anstream::eprintln!("{steps} records, {} differences", differences.len());
    Ok(if differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The paths of the APIs, by name.
fn paths(app: &Value) -> HashMap<String, String> {
    let apis = app["apis"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |api: &Value, key: &str| api[key].as_str().unwrap_or_default().to_owned();
    apis.iter().map(|api| (text(api, "name"), format!("/{}", text(api, "stage")))).collect()
}

/// A check on its way.
struct Run<'a> {
    args: &'a ReplayArgs,
    server: &'a Server,
    paths: HashMap<String, String>,
    live: Live,
    clients: HashMap<usize, Client>,
    /// Of the recording's connections.
    numbers: Numbers,
    /// How many steps of each key the recording has had so far.
    counts: HashMap<Key, usize>,
    /// What was waited for in vain: once is enough.
    given_up: HashSet<Key>,
}

impl Run<'_> {
    /// Does what the client did in this step, and waits until it, or what the server did
    /// in it, has happened.
    async fn step(&mut self, step: &Step) -> Result<(), CommandError> {
        let Some(key) = self.numbers.key(step) else { return Ok(()) };
        self.act(step, key.connection)?;
        if let Step::Close { code, reason, by: Side::Server, .. } = step
            && GATEWAYS_OWN.contains(code)
        {
            self.close(key.connection, *code, reason).await?;
        }
        let count = self.counts.entry(key.clone()).or_default();
        *count += 1;
        if !self.given_up.contains(&key)
            && !self.live.wait_for(&key, *count, self.args.timeout).await?
        {
            self.given_up.insert(key);
        }
        Ok(())
    }

    fn act(&mut self, step: &Step, number: usize) -> Result<(), CommandError> {
        match step {
            Step::Connect { api, query, headers, .. } => {
                let address = self.address(api, query)?;
                let client = Client::connect(address, headers, &self.args.headers);
                self.clients.insert(number, client);
            }
            Step::FrameIn { payload, .. } => {
                if let Some(client) = self.clients.get(&number) {
                    client.act(Act::Send(self.as_now(payload)));
                }
            }
            Step::Close { code, reason, by: Side::Client, .. } => {
                if let Some(client) = self.clients.get(&number) {
                    // Code 1005 is told with words of the gateway's, not the client's.
                    client.act(Act::Close(*code, reason.clone()));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A recorded message with the ids that connections have now in the places of those
    /// that they had: clients tell each other theirs.
    fn as_now(&self, payload: &Payload) -> Payload {
        let mut payload = payload.clone();
        if let Some(text) = &mut payload.text {
            for (then, number) in self.numbers.iter() {
                if let Some(now) = self.live.numbers.id(number) {
                    *text = text.replace(then, now);
                }
            }
        }
        payload
    }

    /// Has the server close a connection.
    async fn close(&self, number: usize, code: u16, reason: &str) -> Result<(), CommandError> {
        let Some(id) = self.live.numbers.id(number) else { return Ok(()) };
        for path in self.paths.values() {
            let (id, reason) = (encoded(id), encoded(reason));
            let path = format!("{path}/@connections/{id}?code={code}&reason={reason}");
            // Only the connection's own API knows it, and it may be gone already.
            self.server.send("DELETE", &path, &[], "").await?;
        }
        Ok(())
    }

    fn address(&self, api: &str, query: &[(String, String)]) -> Result<Address, CommandError> {
        let Some(path) = self.paths.get(api) else {
            let there: Vec<_> = self.paths.keys().map(String::as_str).collect();
            let why = format!(
                "the recording is of the API `{api}`, and the app has {}; is it the same app at \
                the same stage?",
                if there.is_empty() { "none".to_owned() } else { there.join(", ") }
            );
            return Err(CommandError::Usage(why));
        };
        let pairs: Vec<_> = query
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        let mark = if pairs.is_empty() { "" } else { "?" };
        Ok(self.server.address.with_path(&format!("{path}{mark}{}", pairs.join("&"))))
    }

    fn compare(&self, recording: &Recording) -> Vec<Difference> {
        let mut numbers = Numbers::default();
        let recorded: Vec<(Key, Step)> = recording
            .steps
            .iter()
            .filter_map(|step| Some((numbers.key(step)?, step.clone())))
            .collect();
        let then = Seen::of(&recorded, &numbers, &self.args.ignored);
        let now = Seen::of(&self.live.steps, &self.live.numbers, &self.args.ignored);
        // Where events were still running at the end of the recording, more may come now.
        let unfinished = then.events > then.results;
        let keys: std::collections::BTreeSet<_> =
            then.outputs.keys().chain(now.outputs.keys()).collect();
        keys.into_iter()
            .filter_map(|key| {
                let of = |seen: &Seen| seen.outputs.get(key).cloned().unwrap_or_default();
                let (then, mut now) = without_equal(of(&then), of(&now));
                if unfinished {
                    now.truncate(then.len());
                }
                Difference::between(&title(key), &then.join("\n"), &now.join("\n"))
            })
            .collect()
    }
}

/// What the server did, as it is compared.
struct Seen {
    outputs: BTreeMap<Key, Vec<String>>,
    events: usize,
    results: usize,
}

impl Seen {
    fn of(steps: &[(Key, Step)], numbers: &Numbers, ignored: &[String]) -> Self {
        let mut mask = Mask::new(ignored);
        for (id, number) in numbers.iter() {
            mask.learn(id, format!("<connection {number}>"));
        }
        for (_, step) in steps {
            match step {
                Step::Connect { headers, .. } => {
                    let host = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
                    if let Some((_, host)) = host {
                        mask.learn(host, "<host>".to_owned());
                    }
                }
                Step::Event { request, .. } => mask.learn(request, "<request>".to_owned()),
                _ => {}
            }
        }
        let mut seen = Self { outputs: BTreeMap::new(), events: 0, results: 0 };
        for (key, step) in steps {
            seen.events += usize::from(key.kind == Kind::Event);
            seen.results += usize::from(key.kind == Kind::Result);
            if let Some(value) = compared(step) {
                seen.outputs.entry(key.clone()).or_default().push(mask.lines(&value));
            }
        }
        seen
    }
}

/// What of a step is compared; `None` where it is the client's, or follows from others.
fn compared(step: &Step) -> Option<Value> {
    Some(match step {
        Step::Connected { .. } => json!("connected"),
        Step::Refused { status, body, .. } => json!({ "refused": status, "body": body }),
        Step::Result { failed: false, result, .. } => result.clone(),
        Step::Result { failed: true, result, .. } => json!({ "failed": result }),
        Step::FrameOut { payload, .. } | Step::Broadcast { payload, .. } => payload.as_value(),
        Step::Close { code, reason, by: Side::Server, .. } => {
            json!({ "code": code, "reason": reason })
        }
        _ => return None,
    })
}

/// Both lists without what is in both of them. Messages that were in flight at the same
/// time may overtake each other, so their order is not compared.
fn without_equal(mut then: Vec<String>, mut now: Vec<String>) -> (Vec<String>, Vec<String>) {
    then.retain(|text| match now.iter().position(|other| other == text) {
        Some(at) => {
            now.remove(at);
            false
        }
        None => true,
    });
    (then, now)
}

fn title(key: &Key) -> String {
    let Key { kind, connection, name } = key;
    match kind {
        Kind::Result => format!("connection {connection}: results of {name}"),
        Kind::FrameOut => format!("connection {connection}: messages to the client"),
        Kind::Answer => format!("connection {connection}: answer to the handshake"),
        Kind::CloseByServer => format!("connection {connection}: closed by the server"),
        Kind::Broadcast => format!("broadcasts of {name}"),
        Kind::Connect | Kind::FrameIn | Kind::Event | Kind::CloseByClient => {
            format!("connection {connection}")
        }
    }
}
