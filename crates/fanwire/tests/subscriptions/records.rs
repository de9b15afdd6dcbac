//! The records of the TypeScript library itself, as it wrote them
//! (tests/golden/aws-trpc-subscriptions.json), against ours.

use std::sync::Arc;

use fanwire::store::Memory;
use fanwire::subscriptions::{Filter, Layout, Report, Router, Stored, TrpcError};
use fanwire::websocket::{Event, EventKind, Gateway};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use ts_rs::TS;

use crate::world::World;

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Who {
    user_id: String,
    admin: bool,
}

#[derive(Deserialize, TS)]
struct What {
    name: String,
    age: i64,
    note: Option<String>,
}

fanwire::subscription! {
    struct Wide("room.wide"): (Who, What) -> String;
    filter Both("both") { ctx.user_id: String, ctx.admin: bool, input.name: String, input.age: i64 }
    filter Note("note") { input.note: Option<String> }
    filter User("user") { ctx.user_id: String }
}

fanwire::subscription! {
    struct Plain("plain"): (Who, Option<What>) -> String;
}

/// What was recorded.
#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
    ranges: Vec<Range>,
}

/// A subscription: what was put into the table, and deleted when it was stopped.
#[derive(Clone, Deserialize)]
struct Case {
    connection: String,
    path: String,
    id: Value,
    ctx: Map<String, Value>,
    input: Option<Value>,
    puts: Vec<Map<String, Value>>,
    stops: Vec<(String, String)>,
}

/// A publication: what was looked for.
#[derive(Deserialize)]
struct Range {
    path: String,
    filter: Option<String>,
    #[serde(default)]
    ctx: Map<String, Value>,
    #[serde(default)]
    input: Map<String, Value>,
    pk: String,
    sk: String,
}

fn golden() -> Golden {
    let json = include_str!("../../../../tests/golden/aws-trpc-subscriptions.json");
    serde_json::from_str(json).unwrap()
}

struct Table {
    world: World,
    app: Stored<Who>,
}

impl Table {
    fn new() -> Self {
        let world = World::with(Memory::new(), |app| app);
        let app = Router::new()
            .subscription(Plain)
            .merge("room", Router::new().subscription(Wide))
            .context(|opening| async move {
                let who = Value::Object((*opening.authorizer).clone());
                serde_json::from_value(who).map_err(TrpcError::from)
            })
            .stored(world.store.clone())
            .with_layout(Layout::AwsTrpcSubscriptions);
        Self { world, app }
    }

    async fn event(&self, kind: EventKind, case: &Case, text: &str) {
        let mut event: Event = self.world.make(kind, &case.connection, "", text);
        event.authorizer = Arc::new(case.ctx.clone());
        self.app.handle(&event).await.unwrap();
    }

    async fn subscribe(&self, case: &Case) {
        self.event(EventKind::Connect, case, "").await;
        let mut params = json!({ "path": case.path });
        if let Some(input) = &case.input {
            params["input"] = input.clone();
        }
        let said = json!({ "id": case.id, "method": "subscription", "params": params });
        self.event(EventKind::Message, case, &said.to_string()).await;
    }

    /// All records of these cases, by their keys.
    async fn records(&self, cases: &[Case]) -> Vec<Map<String, Value>> {
        let mut partitions = vec!["path#plain".to_owned(), "path#room.wide".to_owned()];
        partitions.extend(cases.iter().map(|case| format!("connection#{}", case.connection)));
        let mut records = Vec::new();
        for partition in partitions {
            for item in self.world.store.all(&partition).await {
                let mut fields = item.fields;
                fields.insert("pk".to_owned(), item.key.partition.into());
                fields.insert("sk".to_owned(), item.key.sort.into());
                assert!(item.expires_at.is_some());
                records.push(fields);
            }
        }
        sorted(records)
    }
}

fn sorted(mut records: Vec<Map<String, Value>>) -> Vec<Map<String, Value>> {
    for record in &mut records {
        record.remove("expireAt");
    }
    records.sort_by_key(|record| (record["pk"].to_string(), record["sk"].to_string()));
    records
}

fn text(of: &Map<String, Value>, name: &str) -> String {
    of[name].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn we_put_and_delete_what_the_typescript_library_does() {
    for case in golden().cases {
        let (table, one) = (Table::new(), std::slice::from_ref(&case));
        table.subscribe(&case).await;
        let there = table.records(one).await;
        assert_eq!(there, sorted(case.puts.clone()), "{}", case.connection);

        let said = json!({ "id": case.id, "method": "subscription.stop" });
        table.event(EventKind::Message, &case, &said.to_string()).await;
        let left = table.records(one).await;
        let key = |record: &Map<String, Value>| (text(record, "pk"), text(record, "sk"));
        let gone = there.iter().filter(|record| !left.contains(record)).map(key);
        assert_eq!(gone.collect::<Vec<_>>(), case.stops, "{}", case.connection);
    }
}

impl Range {
    /// Whether all values that are published to are those of the subscriber.
    fn means(&self, case: &Case) -> bool {
        let is_of = |wanted: &Map<String, Value>, there: &Map<String, Value>| {
            wanted.iter().all(|(name, value)| there.get(name) == Some(value))
        };
        let empty = Map::new();
        let input = case.input.as_ref().and_then(Value::as_object).unwrap_or(&empty);
        self.path == case.path && is_of(&self.ctx, &case.ctx) && is_of(&self.input, input)
    }

    async fn publish(&self, table: &Table) -> Report {
        let publisher = table.app.publisher(Arc::clone(&table.world.gateway) as Arc<dyn Gateway>);
        let hi = "hi".to_owned();
        let text = |of: &Map<String, Value>, name: &str| of.get(name)?.as_str().map(str::to_owned);
        let user = text(&self.ctx, "userId");
        let admin = self.ctx.get("admin").and_then(Value::as_bool);
        let (name, age) =
            (text(&self.input, "name"), self.input.get("age").and_then(Value::as_i64));
        let report = match (self.filter.as_deref(), user, admin, name, age) {
            (None, ..) if self.path == "plain" => publisher.publish(Plain, &hi).await,
            (None, ..) => publisher.publish(Wide, &hi).await,
            (Some("user"), Some(user_id), ..) => publisher.publish_to(&User { user_id }, &hi).await,
            (Some("note"), ..) => {
                publisher.publish_to(&Note { note: text(&self.input, "note") }, &hi).await
            }
            (_, Some(user), None, None, None) => {
                publisher.publish_to(&Both::leading((user,)), &hi).await
            }
            (_, Some(user), Some(admin), None, None) => {
                publisher.publish_to(&Both::leading((user, admin)), &hi).await
            }
            (_, Some(user), Some(admin), Some(name), None) => {
                publisher.publish_to(&Both::leading((user, admin, name)), &hi).await
            }
            (_, Some(user_id), Some(admin), Some(name), Some(age)) => {
                publisher.publish_to(&Both { user_id, admin, name, age }, &hi).await
            }
            other => panic!("{other:?}"),
        };
        report.unwrap()
    }
}

/// Whom they mean is among whom they find; we find no others.
#[tokio::test]
async fn we_find_whom_the_typescript_library_means() {
    let Golden { cases, ranges } = golden();
    let table = Table::new();
    for case in &cases {
        table.subscribe(case).await;
    }
    for range in ranges {
        let meant: Vec<_> = cases.iter().filter(|case| range.means(case)).collect();
        for case in &meant {
            let found = case.puts.iter().any(|record| {
                text(record, "pk") == range.pk && text(record, "sk").starts_with(&range.sk)
            });
            assert!(found, "{} of {}", range.sk, case.connection);
        }
        let report = range.publish(&table).await;
        assert_eq!(report, Report { delivered: meant.len(), ..Report::default() }, "{}", range.sk);
    }
}
