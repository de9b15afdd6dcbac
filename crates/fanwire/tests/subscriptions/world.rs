//! An app with one store, a gateway that remembers, and clients that say things.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fanwire::Home;
use fanwire::realtime::{Broker, Publication, PublishError};
use fanwire::store::{Condition, Cursor, Item, Key, Memory, Page, Store, StoreError};
use fanwire::subscriptions::{
    ErrorCode, Publisher, Router, Stored, Tracked, Transformer, TrpcError,
};
use fanwire::websocket::{
    Body, ConnectionInfo, Delivered, Event, EventKind, Gateway, Group, Recipients, SendError,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use ts_rs::TS;

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AppContext {
    pub(crate) user_id: String,
    /// What mutations publish with: nothing that a record could have.
    #[serde(skip)]
    pub(crate) publisher: Option<Publisher>,
}

/// The context of procedures that only some users may call.
pub(crate) struct Admin {
    pub(crate) name: String,
}

#[derive(Deserialize, Serialize, TS)]
pub(crate) struct Watch {
    pub(crate) name: String,
}

fanwire::subscription! {
    pub(crate) struct MySubscription("mySubscription"): (AppContext, Watch) -> String;
    pub(crate) filter UserIdAndName("userIdAndName") { ctx.user_id: String, input.name: String }
    pub(crate) filter Name("name") { input.name: String }
}

fanwire::subscription! {
    pub(crate) struct Ticks("nested.ticks"): (AppContext, ()) -> Tracked<u32>;
    pub(crate) filter User("user") { ctx.user_id: String }
}

/// Procedures for `root`, and what has happened to them by then.
fn admin() -> Router<AppContext> {
    Router::<Admin>::new()
        .query("who", |admin: Arc<Admin>, (): ()| async move { Ok(admin.name.clone()) })
        .query("nobody", |_admin, (): ()| async { Ok(()) })
        .middleware(|admin, call| async move {
            if call.path == "admin.nobody" {
                return Err(TrpcError::new(ErrorCode::Forbidden, "nobody may"));
            }
            Ok(admin)
        })
        .within(|ctx: Arc<AppContext>, _call| async move {
            if ctx.user_id != "root" {
                return Err(TrpcError::new(ErrorCode::Unauthorized, "root may"));
            }
            Ok(Admin { name: format!("admin {}", ctx.user_id) })
        })
}

pub(crate) fn app(store: impl Store, transformer: Transformer) -> Stored<AppContext> {
    let nested = Router::new().subscription(Ticks);
    Router::new()
        .query("greeting", |ctx: Arc<AppContext>, name: String| async move {
            Ok(format!("hello {name} from {}", ctx.user_id))
        })
        .mutation("fail", |_ctx, code: u8| async move {
            let error: std::io::Error = match code {
                0 => return Err(TrpcError::new(ErrorCode::Forbidden, "not you")),
                _ => std::io::Error::other("a secret"),
            };
            Err::<(), _>(error.into())
        })
        .mutation("tell", |ctx: Arc<AppContext>, watch: Watch| async move {
            let to = UserIdAndName { user_id: ctx.user_id.clone(), name: watch.name };
            let publisher = ctx.publisher.as_ref().expect("the home has one");
            Ok(publisher.publish_to(&to, &"told".to_owned()).await?.delivered)
        })
        .merge("admin", admin())
        .stream("endless", |_ctx, (): ()| futures_util::stream::pending::<Result<u8, TrpcError>>())
        .subscription_when(MySubscription, |_ctx, input| async move {
            if input.name.is_empty() {
                return Err(TrpcError::new(ErrorCode::UnprocessableContent, "say a name"));
            }
            Ok(())
        })
        .merge("nested", nested)
        .context(|opening| async move {
            let token = opening.param("token").or(opening.query("token"));
            let user_id = match (token, opening.authorized("userId")) {
                (Some(token), _) => token.to_owned(),
                (None, Some(user)) => user.to_owned(),
                (None, None) => {
                    return Err(TrpcError::new(ErrorCode::Unauthorized, "who are you?"));
                }
            };
            Ok(AppContext { user_id, publisher: opening.home.publisher().cloned() })
        })
        .on_error(|_, _| ())
        .with_transformer(transformer)
        .stored(store)
}

/// The app and what it has sent.
pub(crate) struct World {
    pub(crate) app: Stored<AppContext>,
    pub(crate) store: Counted,
    pub(crate) gateway: Arc<Remembering>,
    home: Home,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Memory::new().pages_of(3), |app| app)
    }

    pub(crate) fn with(
        store: impl Store,
        options: impl FnOnce(Stored<AppContext>) -> Stored<AppContext>,
    ) -> Self {
        Self::with_transformer(store, Transformer::None, options)
    }

    pub(crate) fn with_transformer(
        store: impl Store,
        transformer: Transformer,
        options: impl FnOnce(Stored<AppContext>) -> Stored<AppContext>,
    ) -> Self {
        let store = Counted { inner: Arc::new(store), calls: Arc::default() };
        let gateway = Arc::new(Remembering::default());
        let home = Home::new(Arc::clone(&gateway) as Arc<dyn Gateway>, Arc::new(NoBroker));
        let app = options(app(store.clone(), transformer));
        let home = home.with_publisher(app.publisher(Arc::clone(&gateway) as Arc<dyn Gateway>));
        Self { app, store, gateway, home }
    }

    pub(crate) fn publisher(&self) -> Publisher {
        self.app.publisher(Arc::clone(&self.gateway) as Arc<dyn Gateway>)
    }

    /// A client that the authorizer knows.
    pub(crate) async fn connect(&self, id: &str, user: &str) {
        self.event(EventKind::Connect, id, user, "").await;
    }

    pub(crate) async fn connect_with(&self, id: &str, query: &[(&str, &str)]) {
        let mut event = self.make(EventKind::Connect, id, "", "");
        event.query = query.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        self.app.handle(&event).await.unwrap();
    }

    pub(crate) async fn disconnect(&self, id: &str) {
        self.event(EventKind::Disconnect, id, "", "").await;
    }

    /// Says something, and gives what comes back at once.
    pub(crate) async fn say(&self, id: &str, user: &str, text: &str) -> Vec<String> {
        let before = self.gateway.sent(id).len();
        self.event(EventKind::Message, id, user, text).await;
        self.gateway.sent(id).split_off(before)
    }

    /// Connects, and subscribes with the id 1.
    pub(crate) async fn watch(&self, id: &str, user: &str, name: &str) {
        self.connect(id, user).await;
        let started = self.say(id, user, &subscribe(1, name)).await;
        assert_eq!(started, [r#"{"id":1,"result":{"type":"started"}}"#]);
    }

    async fn event(&self, kind: EventKind, id: &str, user: &str, text: &str) {
        self.app.handle(&self.make(kind, id, user, text)).await.unwrap();
    }

    pub(crate) fn make(&self, kind: EventKind, id: &str, user: &str, text: &str) -> Event {
        let authorizer = match user {
            "" => Map::new(),
            user => Map::from_iter([("userId".to_owned(), user.into())]),
        };
        Event {
            kind,
            route_key: "$default".to_owned(),
            connection: Arc::new(ConnectionInfo {
                id: id.to_owned(),
                api_id: "api".to_owned(),
                stage: "dev".to_owned(),
                domain: "localhost".to_owned(),
                connected_at: 0,
                source_ip: None,
                user_agent: None,
            }),
            request_id: "request".to_owned(),
            headers: Vec::new(),
            query: Vec::new(),
            body: Body::Text(text.to_owned()),
            authorizer: Arc::new(authorizer),
            closed: None,
            home: self.home.clone(),
        }
    }
}

pub(crate) fn subscribe(id: u32, name: &str) -> String {
    json!({ "id": id, "method": "subscription", "params": { "path": "mySubscription", "input": { "name": name } } })
        .to_string()
}

pub(crate) fn data(id: u32, data: &str) -> String {
    format!(r#"{{"id":{id},"result":{{"type":"data","data":{data}}}}}"#)
}

/// A gateway that remembers what it was given.
#[derive(Debug, Default)]
pub(crate) struct Remembering {
    sent: Mutex<HashMap<String, Vec<String>>>,
    gone: Mutex<BTreeSet<String>>,
    broken: Mutex<BTreeSet<String>>,
    under_way: AtomicUsize,
    /// The most that was under way at once.
    pub(crate) most: AtomicUsize,
}

impl Remembering {
    pub(crate) fn sent(&self, id: &str) -> Vec<String> {
        self.sent.lock().unwrap().get(id).cloned().unwrap_or_default()
    }

    /// Takes what a connection was sent.
    pub(crate) fn take(&self, id: &str) -> Vec<String> {
        self.sent.lock().unwrap().remove(id).unwrap_or_default()
    }

    pub(crate) fn end(&self, id: &str) {
        self.gone.lock().unwrap().insert(id.to_owned());
    }

    pub(crate) fn break_down(&self, id: &str) {
        self.broken.lock().unwrap().insert(id.to_owned());
    }

    fn give(&self, id: &str, body: &Body) -> Result<(), SendError> {
        if self.gone.lock().unwrap().contains(id) {
            return Err(SendError::Gone { id: id.to_owned() });
        }
        if self.broken.lock().unwrap().contains(id) {
            return Err(SendError::Throttled);
        }
        let text = String::from_utf8(body.as_bytes().to_vec()).unwrap();
        self.sent.lock().unwrap().entry(id.to_owned()).or_default().push(text);
        Ok(())
    }
}

impl Gateway for Remembering {
    fn send<'a>(&'a self, to: &'a str, body: Body) -> BoxFuture<'a, Result<(), SendError>> {
        async move {
            let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            tokio::task::yield_now().await;
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            self.give(to, &body)
        }
        .boxed()
    }

    fn send_to(&self, to: Recipients, body: Body) -> BoxFuture<'_, Result<Delivered, SendError>> {
        let Recipients::Ids(ids) = to else { unreachable!("only ids are addressed") };
        let mut report = Delivered::default();
        for id in ids {
            match self.give(&id, &body) {
                Ok(()) => report.delivered += 1,
                Err(SendError::Gone { id }) => report.gone.push(id),
                Err(_) => report.failed += 1,
            }
        }
        async move { Ok(report) }.boxed()
    }

    fn close<'a>(&'a self, _: &'a str, _: u16, _: &'a str) -> BoxFuture<'a, Result<(), SendError>> {
        unreachable!("nothing closes")
    }

    fn regroup<'a>(
        &'a self,
        _: &'a str,
        _: Group,
        _: bool,
    ) -> BoxFuture<'a, Result<(), SendError>> {
        unreachable!("there are no groups")
    }
}

#[derive(Debug)]
struct NoBroker;

impl Broker for NoBroker {
    fn publish(&self, _: Publication) -> BoxFuture<'_, Result<(), PublishError>> {
        async { Err(PublishError::NoEndpoint) }.boxed()
    }
}

/// A store that counts the calls of it.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    inner: Arc<dyn Store>,
    calls: Arc<AtomicUsize>,
}

impl Counted {
    /// The calls since the last time.
    pub(crate) fn calls(&self) -> usize {
        self.calls.swap(0, Ordering::SeqCst)
    }

    /// Everything in a partition.
    pub(crate) async fn all(&self, partition: &str) -> Vec<Item> {
        let mut items = Vec::new();
        let mut after = None;
        loop {
            let page = self.inner.query(partition, "", after).await.unwrap();
            items.extend(page.items);
            after = page.next;
            if after.is_none() {
                return items;
            }
        }
    }

    fn count(&self) -> &dyn Store {
        self.calls.fetch_add(1, Ordering::SeqCst);
        &*self.inner
    }
}

impl Store for Counted {
    fn put(&self, items: Vec<Item>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.count().put(items)
    }

    fn put_if(&self, item: Item, condition: Condition) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.count().put_if(item, condition)
    }

    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Item>, StoreError>> {
        self.count().get(key)
    }

    fn delete(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.count().delete(keys)
    }

    fn query<'a>(
        &'a self,
        partition: &'a str,
        prefix: &'a str,
        after: Option<Cursor>,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        self.count().query(partition, prefix, after)
    }
}

/// The fields of an item as one value.
pub(crate) fn fields(item: &Item) -> Value {
    Value::Object(item.fields.clone())
}
