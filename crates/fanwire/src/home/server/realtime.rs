//! The app's realtime endpoint in this process: its authorizer and subscribers are called
//! with values, and publish to the plane itself.

use std::sync::Arc;

use fanwire_app::model::{self, Profile, RealtimeAuthorizer, TopicRule};
use fanwire_realtime::{
    HttpArrival, Message, NativeFailure, NativeMessage, NativeRequest, Natives,
    PublishError as PlaneError, Realtime as Plane, Terms, WeakRealtime,
};
use fanwire_wire::mqtt::QoS;
use futures_util::future::BoxFuture;
use tokio::sync::SetOnce;

use super::STOPPED;
use crate::home::Home;
use crate::realtime::{
    Answer, Authorizer, Broker, ConnectRequest, Endpoint, Incoming, Place, Publication,
    PublishError, Sender, SignedTokens, Subscriber,
};

/// The key of the function that the authorizer stands for, in the model of the gateway.
const AUTHORIZER: &str = "realtime.authorizer";

/// Errors from this status on are no fault of the message: it is tried again.
const FIRST_PASSING: u16 = 500;

/// What handlers reach the rest by. It is there once the server has started, which the
/// first clients may have to wait for.
pub(super) type AtHome = Arc<SetOnce<Home>>;

/// The topics of this process, as handlers publish to them.
#[derive(Debug)]
pub(super) struct OwnBroker {
    /// As the other planes in [`Planes`](super::Planes).
    plane: WeakRealtime,
}

/// What the gateway serves of an endpoint.
pub(super) fn model_of(endpoint: &Endpoint) -> model::Realtime {
    let mut model = model::Realtime::new(Profile::Open);
    model.name.clone_from(&endpoint.name);
    if endpoint.authorizer.is_some() {
        let function = AUTHORIZER.to_owned();
        let (token_key, public_keys) = match endpoint.signed_tokens.clone() {
            Some(SignedTokens { key_name, public_keys }) => (Some(key_name), public_keys),
            None => (None, Vec::new()),
        };
        let authorizer = RealtimeAuthorizer { function, token_key, public_keys };
        model.authorizers.insert(endpoint.name.clone(), authorizer);
        model.default_authorizer = Some(endpoint.name.clone());
    }
    for subscriber in &endpoint.subscribers {
        let rule = TopicRule::of_filter(&subscriber.filter, key_of(subscriber));
        model.rules.insert(subscriber.name.clone(), rule);
    }
    model
}

/// What the gateway calls of an endpoint that is served in `place`.
pub(super) fn natives_of(endpoint: &Endpoint, place: &Place, home: &AtHome) -> Natives {
    let mut natives = Natives::default();
    if let Some(authorizer) = endpoint.authorizer.clone() {
        let (home, place) = (Arc::clone(home), place.clone());
        natives = natives.authorizer(AUTHORIZER, move |request: Arc<NativeRequest>| {
            decide(Arc::clone(&authorizer), place.clone(), Arc::clone(&home), request)
        });
    }
    for subscriber in &endpoint.subscribers {
        let (call, home) = (Arc::clone(&subscriber.call), Arc::clone(home));
        natives = natives.subscriber(&key_of(subscriber), move |message: NativeMessage| {
            let (call, home) = (Arc::clone(&call), Arc::clone(&home));
            async move {
                let done = call(incoming(message), home.wait().await.clone()).await;
                done.map_err(|error| NativeFailure {
                    why: error.to_string(),
                    retry: error.status() >= FIRST_PASSING,
                })
            }
        });
    }
    natives
}

/// The key of the function that a subscriber stands for.
fn key_of(subscriber: &Subscriber) -> String {
    format!("realtime.subscriber.{}", subscriber.name)
}

/// What the app decides about a client.
async fn decide(
    authorizer: Authorizer,
    place: Place,
    home: AtHome,
    request: Arc<NativeRequest>,
) -> Result<Terms, String> {
    let request = connect_request(&request);
    let grant = authorizer(request.clone(), home.wait().await.clone()).await;
    let grant = grant.map_err(|error| error.to_string())?;
    let answer = grant.answer(&request, &place).map_err(|error| error.to_string())?;
    let Answer { is_authenticated: authenticated, principal_id: principal, .. } = answer;
    Ok(Terms {
        authenticated,
        principal,
        disconnect_after: Some(answer.disconnect_after),
        refresh_after: answer.refresh_after,
        policies: answer.policy_documents,
    })
}

fn connect_request(request: &NativeRequest) -> ConnectRequest {
    let HttpArrival { headers, query, .. } = request.http.clone().unwrap_or_default();
    ConnectRequest {
        client_id: Some(request.client_id.clone()).filter(|id| !id.is_empty()),
        username: request.username.clone(),
        password: request.password.clone(),
        signed_token: request.token.clone(),
        signature_verified: request.signature_verified,
        query,
        headers,
        server_name: request.server_name.clone(),
        connection_id: request.connection_id.clone(),
    }
}

fn incoming(message: NativeMessage) -> Incoming {
    let sender = message.publisher.map(|publisher| Sender {
        principal: publisher.principal.to_string(),
        client_id: publisher.client_id.to_string(),
    });
    Incoming { topic: message.topic.to_string(), payload: message.payload, sender }
}

// === impl OwnBroker ===

impl OwnBroker {
    pub(super) fn new(plane: &Plane) -> Self {
        Self { plane: plane.downgrade() }
    }

    async fn publish_here(&self, publication: Publication) -> Result<(), PublishError> {
        let Publication { topic, payload, qos, retain } = publication;
        let qos = match qos {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            2 => QoS::ExactlyOnce,
            other => {
                let why = format!("there is no QoS {other}; there are 0, 1 and 2");
                return Err(PublishError::Refused { topic, why });
            }
        };
        let stopped = || PublishError::Failed(STOPPED.to_owned());
        let plane = self.plane.upgrade().ok_or_else(stopped)?;
        let message = Message { qos, retain, ..Message::new(&*topic, payload) };
        plane.publish(message).await.map_err(|error| match error {
            PlaneError::Busy => PublishError::Throttled,
            PlaneError::NotKept => PublishError::Failed(error.to_string()),
            PlaneError::Topic { why, .. } => PublishError::Refused { topic, why: why.to_owned() },
            other => PublishError::Refused { topic, why: other.to_string() },
        })
    }
}

impl Broker for OwnBroker {
    fn publish(&self, publication: Publication) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(self.publish_here(publication))
    }
}
