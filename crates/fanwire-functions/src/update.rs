//! New code, and other functions, without an end of the host.

use std::sync::Arc;

use fanwire_app::model::Function;
use indexmap::IndexMap;

use crate::host::{Functions, Served, StartError};
use crate::options::{HostOptions, Redirect};

/// The options of a host that an app decides and that may change with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostUpdate {
    /// See [`HostOptions::region`].
    pub region: String,
    /// See [`HostOptions::account_id`].
    pub account_id: String,
    /// See [`HostOptions::environment`].
    pub environment: IndexMap<String, String>,
    /// See [`HostOptions::redirect`].
    pub redirect: Option<Redirect>,
}

/// What an update changed: keys of functions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FunctionChanges {
    /// Functions that were not there before.
    pub added: Vec<String>,
    /// Functions that are another now, or run with other options of the host.
    pub changed: Vec<String>,
    /// Functions that are no more.
    pub removed: Vec<String>,
}

impl FunctionChanges {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

impl Functions {
    /// Makes events of these functions run new code from now on: processes without an
    /// event are stopped, others when their event has ended, and what a `build` command
    /// makes is built again. A function that ever had a process gets one at once, so
    /// that a mistake shows on save:
    /// [`FunctionEvent::Reloaded`](crate::FunctionEvent::Reloaded) or
    /// [`InitFailed`](crate::FunctionEvent::InitFailed). Events in line wait for it.
    ///
    /// Does not wait. Unknown keys, and functions elsewhere, are passed over.
    pub fn reload<'k>(&self, keys: impl IntoIterator<Item = &'k str>) {
        let served = self.host.served.load();
        let entries = keys.into_iter().filter_map(|key| served.entries.get(key));
        entries.filter_map(|entry| entry.pool()).for_each(|pool| pool.renew(None));
    }

    /// Starts a process of each of these functions that has none, so that a mistake in it
    /// shows before its first event: [`InitFailed`](crate::FunctionEvent::InitFailed).
    ///
    /// Does not wait. Unknown keys, and functions elsewhere, are passed over.
    pub fn start_unused<'k>(&self, keys: impl IntoIterator<Item = &'k str>) {
        let served = self.host.served.load();
        let entries = keys.into_iter().filter_map(|key| served.entries.get(key));
        entries.filter_map(|entry| entry.pool()).for_each(|pool| pool.start_unused());
    }

    /// Makes the host serve these functions with these options, and says what changed.
    ///
    /// A function that did not change keeps its processes, unless the options did.
    /// Changed ones are as [reloaded](Self::reload). Removed ones take no more events:
    /// [`NotFound`](crate::InvokeError::NotFound); those in progress and in line end.
    /// On an error nothing has changed, as on a host that shuts down.
    pub fn update(
        &self,
        functions: &IndexMap<String, Function>,
        options: HostUpdate,
    ) -> Result<FunctionChanges, StartError> {
        let mut changing = self.host.changing();
        if *self.host.closing.borrow() {
            return Ok(FunctionChanges::default());
        }
        let old = self.host.served.load_full();
        let options = options.applied(&old.options);
        let is_same_host = Arc::ptr_eq(&options, &old.options);
        let mut changes = FunctionChanges::default();
        let mut entries = IndexMap::with_capacity(functions.len());
        for (key, function) in functions {
            let replaced = old.entries.get(key);
            let entry = match replaced {
                Some(entry) if is_same_host && entry.spec.function == *function => {
                    Arc::clone(entry)
                }
                _ => {
                    let names = match replaced {
                        Some(_) => &mut changes.changed,
                        None => &mut changes.added,
                    };
                    names.push(key.clone());
                    let replaced = replaced.map(|entry| &**entry);
                    Arc::new(changing.maker.entry(key, function, &options, replaced)?)
                }
            };
            entries.insert(key.clone(), entry);
        }
        let is_removed = |key: &&String| !functions.contains_key(*key);
        changes.removed = old.entries.keys().filter(is_removed).cloned().collect();
        let new = Arc::new(Served { entries, options });
        self.host.served.store(Arc::clone(&new));

        for key in &changes.changed {
            let entry = &new.entries[key];
            let was = old.entries.get(key).and_then(|entry| entry.pool());
            if let Some(pool) =
                entry.pool().filter(|pool| was.is_some_and(|was| Arc::ptr_eq(pool, was)))
            {
                pool.renew(Some(Arc::clone(&entry.spec)));
            }
        }
        changing.left.retain(|pool| !pool.is_quiet());
        for (key, entry) in &old.entries {
            let is_served = new.entries.get(key).is_some_and(|entry| entry.pool().is_some());
            if let Some(pool) = entry.pool().filter(|_| !is_served) {
                pool.close();
                changing.left.push(Arc::clone(pool));
            }
        }
        Ok(changes)
    }
}

impl HostUpdate {
    /// The options with these values in their places: the same where nothing differs.
    fn applied(self, options: &Arc<HostOptions>) -> Arc<HostOptions> {
        let is_same = options.region == self.region
            && options.account_id == self.account_id
            && options.environment == self.environment
            && options.redirect == self.redirect;
        if is_same {
            return Arc::clone(options);
        }
        Arc::new(self.into_options((**options).clone()))
    }

    /// `others` with these values in their places.
    pub fn into_options(self, others: HostOptions) -> HostOptions {
        let Self { region, account_id, environment, redirect } = self;
        HostOptions { region, account_id, environment, redirect, ..others }
    }
}
