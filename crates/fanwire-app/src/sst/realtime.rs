//! `sst.aws.Realtime`. An account of AWS's has one endpoint, however many components an app
//! has: their authorizers and subscribers are all of one.

use crate::model::{Profile, Realtime, RealtimeAuthorizer, SqlVersion, TopicRule};
use crate::reading::Reading;
use crate::rules::realtime as checks;

use super::description;
use super::functions::Names;
use super::places::Places;

/// The endpoint, where the app has a component for it.
pub(super) fn build(
    described: &[description::Realtime],
    functions: &Names,
    profile: Profile,
    places: &mut Places,
    reading: &mut Reading<'_>,
) -> Option<Realtime> {
    let first = described.first()?;
    let mut realtime = Realtime { name: first.name.clone(), ..Realtime::new(profile) };
    for each in described {
        let function = functions.key(&each.handler);
        let authorizer = RealtimeAuthorizer { function, token_key: None, public_keys: Vec::new() };
        realtime.authorizers.insert(each.authorizer.name.clone(), authorizer);
        for subscriber in &each.subscribers {
            let span = places.span(subscriber.place.as_ref(), reading);
            checks::check_rule_name(&subscriber.name, span, &mut reading.issues);
            let rule = rule(subscriber, functions);
            match rule.plain_filter() {
                Some(filter) => checks::check_filter(filter, span, &mut reading.issues),
                None => checks::check_sql(&rule.sql, span, &mut reading.issues),
            }
            realtime.rules.insert(subscriber.name.clone(), rule);
        }
    }
    Some(realtime)
}

fn rule(subscriber: &description::Subscriber, functions: &Names) -> TopicRule {
    TopicRule {
        sql: subscriber.sql.clone(),
        sql_version: match subscriber.sql_version.as_str() {
            "2015-10-08" => SqlVersion::V2015_10_08,
            _ => SqlVersion::V2016_03_23,
        },
        enabled: subscriber.enabled,
        ..TopicRule::of_filter(&subscriber.filter, functions.key(&subscriber.handler))
    }
}
