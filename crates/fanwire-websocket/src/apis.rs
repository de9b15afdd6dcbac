//! The APIs of a plane, by number. The numbers stay what they are while the App is
//! changed under its connections.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fanwire_app::model::WebSocketApi;

use crate::api::Api;
use crate::peer::ApiIndex;

/// The APIs at one moment. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Apis {
    slots: Arc<Vec<Slot>>,
}

#[derive(Debug, Clone)]
struct Slot {
    api: Arc<Api>,
    /// The App has this API no more. Its connections are on their way out, and until
    /// they are its number belongs to nobody else.
    removed: bool,
}

// === impl Apis ===

impl Apis {
    pub(crate) fn new(models: Vec<WebSocketApi>, region: &str, account_id: &str) -> Self {
        let slot = |model| Slot {
            api: Arc::new(Api::new(model, region, account_id, Arc::default())),
            removed: false,
        };
        Self { slots: Arc::new(models.into_iter().map(slot).collect()) }
    }

    /// The APIs that the App has, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (ApiIndex, &WebSocketApi)> + Clone {
        let served = self.slots.iter().enumerate().filter(|(_, slot)| !slot.removed);
        // There are never more than numbers: `changed` sees to it.
        served.map(|(number, slot)| (number as ApiIndex, &slot.api.model))
    }

    /// An API by its number. Numbers come from the plane itself, so it is there.
    pub(crate) fn get(&self, number: ApiIndex) -> &Arc<Api> {
        &self.slots[usize::from(number)].api
    }

    /// The APIs after a change. One that keeps its id keeps its number, so its
    /// connections live on under its new routes and limits. Also says which are gone.
    pub(crate) fn changed(
        &self,
        models: Vec<WebSocketApi>,
        region: &str,
        account_id: &str,
    ) -> (Self, Vec<ApiIndex>) {
        let mut slots: Vec<Slot> = self.slots.to_vec();
        let kept = |slot: &Slot| models.iter().any(|model| model.id == slot.api.model.id);
        let mut gone = Vec::new();
        for (number, slot) in slots.iter_mut().enumerate() {
            if !slot.removed && !kept(slot) {
                slot.removed = true;
                gone.push(number as ApiIndex);
            }
        }
        for model in models {
            let same = slots.iter().position(|slot| slot.api.model.id == model.id);
            let free =
                |slot: &Slot| slot.removed && slot.api.connections.load(Ordering::Relaxed) == 0;
            let place = same.or_else(|| slots.iter().position(free));
            let connections = same.map(|at| Arc::clone(&slots[at].api.connections));
            let api = Api::new(model, region, account_id, connections.unwrap_or_default());
            let slot = Slot { api: Arc::new(api), removed: false };
            match place {
                Some(place) => slots[place] = slot,
                None if slots.len() <= usize::from(ApiIndex::MAX) => slots.push(slot),
                // 65,536 APIs in one process: the rest is not served.
                None => {}
            }
        }
        gone.retain(|number| slots[usize::from(*number)].removed);
        (Self { slots: Arc::new(slots) }, gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanwire_app::model::{Limits, LogSettings, Profile};

    fn model(id: &str, stage: &str) -> WebSocketApi {
        WebSocketApi {
            connect: fanwire_app::model::ConnectRules::default(),
            id: id.to_owned(),
            name: id.to_owned(),
            stage: stage.to_owned(),
            base_path: None,
            route_selection: fanwire_app::selection::RouteSelection::default(),
            routes: indexmap::IndexMap::new(),
            authorizers: indexmap::IndexMap::new(),
            stage_variables: indexmap::IndexMap::new(),
            topics: Vec::new(),
            logs: LogSettings::default(),
            limits: Limits::of(Profile::Aws),
        }
    }

    fn listed(apis: &Apis) -> Vec<(ApiIndex, &str)> {
        apis.iter().map(|(number, model)| (number, model.id.as_str())).collect()
    }

    #[test]
    fn an_api_keeps_its_number_and_its_connections_through_a_change() {
        let before = Apis::new(vec![model("a", "dev"), model("b", "dev")], "r", "0");
        before.get(1).connections.store(3, Ordering::Relaxed);
        let changed = vec![model("c", "dev"), model("b", "prod")];
        let (after, gone) = before.changed(changed, "r", "0");
        assert_eq!(gone, [0; 0], "`a` had no connections, so nobody is to be told");
        assert_eq!(listed(&after), [(0, "c"), (1, "b")]);
        assert_eq!(after.get(1).model.stage, "prod");
        assert_eq!(after.get(1).connections.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn the_number_of_an_api_that_is_gone_is_free_once_its_connections_are() {
        let before = Apis::new(vec![model("a", "dev")], "r", "0");
        before.get(0).connections.store(1, Ordering::Relaxed);
        let (after, gone) = before.changed(vec![model("b", "dev")], "r", "0");
        assert_eq!((listed(&after), gone), (vec![(1, "b")], vec![0]));
        after.get(0).connections.store(0, Ordering::Relaxed);
        let (later, _) = after.changed(vec![model("b", "dev"), model("c", "dev")], "r", "0");
        assert_eq!(listed(&later), [(0, "c"), (1, "b")]);
    }
}
