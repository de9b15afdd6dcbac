//! Who is subscribed to what, as records of a store: the layout of Fanwire's own.

use fanwire_wire::trpc::{Envelope, Id};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::aws_trpc;
use super::resume::Treatment;
use crate::store::{Item, Key};
use crate::subscriptions::filter::encode_key;
use crate::subscriptions::{Audience, FilterInfo, Interest, Said, TrpcError};

/// How records stand in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// As is best: a partition for each procedure and for each of its filters.
    #[default]
    Fanwire,
    /// As the TypeScript library `aws-trpc-subscriptions` has them, so that both can work on
    /// one table, for as long as an app moves from one to the other (reference: trpc.md,
    /// section 1.2). Contexts are written, so they have to be serializable to what they are
    /// in TypeScript; headers and the query of handshakes are not kept, as they are not
    /// there, so contexts are made of what the authorizer and `connectionParams` say.
    AwsTrpcSubscriptions,
}

/// A subscription that is about to be written.
pub(crate) struct Begun<'a> {
    pub(crate) connection: &'a str,
    pub(crate) envelope: &'a Envelope,
    pub(crate) interest: &'a Interest,
    /// What the client gave, the transformer undone.
    pub(crate) input: Option<&'a RawValue>,
    /// The context, where the layout has it.
    pub(crate) context: Option<Value>,
}

/// The records of a subscription.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// The one that is found by the connection.
    pub(crate) by_connection: Item,
    /// Those that a publisher finds.
    pub(crate) by_path: Vec<Item>,
}

/// A subscriber, as a publisher finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscriber {
    pub(crate) connection: String,
    /// What its messages are sent in.
    pub(crate) envelope: Envelope,
    /// What is to be done about it.
    pub(crate) treatment: Treatment,
}

/// Where a publisher finds its subscribers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) partition: String,
    pub(crate) prefix: String,
}

// === impl Layout ===

impl Layout {
    /// The record of a connection.
    pub(crate) fn connection(self, connection: &str, said: &Said) -> Item {
        match self {
            Self::Fanwire => Item::new(self.connection_key(connection), json!({ "said": said })),
            Self::AwsTrpcSubscriptions => {
                let mut item =
                    Item::new(self.connection_key(connection), json!({ "type": "connection" }));
                if let Some(params) = &said.params {
                    item.fields.insert("said".to_owned(), json!({ "params": params }));
                }
                item
            }
        }
    }

    /// What a client has said, by the record of its connection.
    pub(crate) fn said(item: &Item) -> Said {
        let said = item.fields.get("said").cloned().unwrap_or_default();
        serde_json::from_value(said).unwrap_or_default()
    }

    /// The key of the record of a connection.
    pub(crate) fn connection_key(self, connection: &str) -> Key {
        let partition = connection_partition(connection);
        match self {
            Self::Fanwire => Key::new(partition, "connection"),
            Self::AwsTrpcSubscriptions => Key::new(partition.clone(), partition),
        }
    }

    /// The key of the record of a subscription that is found by its connection.
    pub(crate) fn subscription_key(self, connection: &str, id: &Id) -> Key {
        let id = match self {
            Self::Fanwire => id.to_string(),
            Self::AwsTrpcSubscriptions => aws_trpc::id_text(id),
        };
        Key::new(connection_partition(connection), format!("{SUBSCRIPTION}{id}"))
    }

    /// The sort key of that record, by the envelope of the subscription's messages.
    pub(crate) fn subscription_sort(self, envelope: &Envelope) -> String {
        let id = envelope.id.as_ref().map(|id| match self {
            Self::Fanwire => id.to_string(),
            Self::AwsTrpcSubscriptions => aws_trpc::id_text(id),
        });
        format!("{SUBSCRIPTION}{}", id.as_deref().unwrap_or("null"))
    }

    /// The records of a subscription.
    pub(crate) fn subscription(self, begun: &Begun<'_>) -> Result<Written, TrpcError> {
        match self {
            Self::Fanwire => write(begun),
            Self::AwsTrpcSubscriptions => aws_trpc::write(begun),
        }
    }

    /// The keys of the records by which publishers find the subscription that this record,
    /// found by its connection, is of. `filters` has those of its procedure.
    pub(crate) fn by_path(
        self,
        item: &Item,
        filters: impl Fn(&str) -> &'static [FilterInfo],
    ) -> Vec<Key> {
        match self {
            Self::Fanwire => {
                let found = item.fields.get("found").cloned().unwrap_or_default();
                let found: Vec<(String, String)> =
                    serde_json::from_value(found).unwrap_or_default();
                found.into_iter().map(|(partition, sort)| Key::new(partition, sort)).collect()
            }
            Self::AwsTrpcSubscriptions => aws_trpc::by_path(item, filters),
        }
    }

    /// What those records hold.
    pub(crate) fn by_path_fields(self, item: &Item) -> Map<String, Value> {
        let mut fields = item.fields.clone();
        if self == Self::Fanwire {
            fields.retain(|name, _| name != "path" && name != "found");
        }
        fields
    }

    /// Where the subscribers of an audience are.
    pub(crate) fn range(self, path: &str, audience: &Audience) -> Range {
        match (self, audience) {
            (Self::AwsTrpcSubscriptions, _) => aws_trpc::range(path, audience),
            (Self::Fanwire, Audience::Everyone) => {
                Range { partition: path_partition(path), prefix: String::new() }
            }
            (Self::Fanwire, Audience::Filter { info, values, .. }) => {
                Range { partition: filter_partition(path, info.name), prefix: encode_key(values) }
            }
        }
    }

    /// The subscriber that a record in a range is of, if it is one of the audience.
    pub(crate) fn subscriber(self, item: &Item, audience: &Audience) -> Option<Subscriber> {
        match self {
            Self::Fanwire => read(&item.fields),
            Self::AwsTrpcSubscriptions => aws_trpc::read(&item.fields, audience),
        }
    }
}

/// What the sort keys of subscriptions begin with that are found by their connection.
pub(crate) const SUBSCRIPTION: &str = "subscription#";

/// The partition with everything of a connection.
pub(crate) fn connection_partition(connection: &str) -> String {
    format!("connection#{connection}")
}

fn path_partition(path: &str) -> String {
    format!("path#{path}")
}

fn filter_partition(path: &str, filter: &str) -> String {
    format!("filter#{path}#{filter}")
}

fn write(begun: &Begun<'_>) -> Result<Written, TrpcError> {
    let Begun { connection, envelope, interest, .. } = begun;
    let id = id_of(envelope);
    let tail = format!("{connection}#{id}");
    let mut keys = vec![Key::new(path_partition(interest.path), tail.clone())];
    keys.extend(interest.filters.iter().zip(&interest.values).map(|(filter, values)| {
        let sort = format!("{}{tail}", encode_key(values));
        Key::new(filter_partition(interest.path, filter.name), sort)
    }));

    let mut fields = Map::new();
    fields.insert("connection".to_owned(), (*connection).into());
    fields.insert("id".to_owned(), id.into());
    if envelope.jsonrpc {
        fields.insert("jsonrpc".to_owned(), true.into());
    }
    let found = keys.iter().map(|key| json!([key.partition, key.sort])).collect();
    let mut by_connection = fields.clone();
    by_connection.insert("path".to_owned(), interest.path.into());
    by_connection.insert("found".to_owned(), Value::Array(found));

    let key =
        Key::new(connection_partition(connection), format!("{SUBSCRIPTION}{}", id_of(envelope)));
    let item = |key, fields| Item { key, fields, expires_at: None };
    Ok(Written {
        by_connection: item(key, by_connection),
        by_path: keys.into_iter().map(|key| item(key, fields.clone())).collect(),
    })
}

fn read(fields: &Map<String, Value>) -> Option<Subscriber> {
    let id = RawValue::from_string(fields.get("id")?.as_str()?.to_owned()).ok()?;
    let jsonrpc = fields.get("jsonrpc").is_some();
    Some(Subscriber {
        connection: fields.get("connection")?.as_str()?.to_owned(),
        envelope: Envelope { id: Some(Id::new(&id)?), jsonrpc },
        treatment: Treatment::of(fields),
    })
}

/// The id of a subscription, as JSON. Who has none is never written.
fn id_of(envelope: &Envelope) -> String {
    envelope.id.as_ref().map_or_else(|| "null".to_owned(), Id::to_string)
}

/// The id that `text`, a string, is to a client that may have meant a number: ids are
/// compared as strings (reference: trpc.md, section 2.5).
pub(super) fn string_id(text: &str) -> Option<Id> {
    Id::new(&to_raw_value(text).ok()?)
}
