mod calls;
mod endpoint;
mod function;
#[cfg(feature = "server")]
mod served;

use super::Surroundings;
use crate::Home;
use crate::websocket::ConnectionInfo;

/// The surroundings of a function with these variables.
fn surroundings(variables: &[(&str, &str)]) -> Surroundings {
    Surroundings::from_variables(&|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

/// A home whose management API and data plane are here.
fn home_at(management: &str, data_plane: &str) -> Home {
    surroundings(&[
        ("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", management),
        ("AWS_ENDPOINT_URL_IOT_DATA_PLANE", data_plane),
    ])
    .home()
}

fn connection(domain: &str) -> ConnectionInfo {
    ConnectionInfo {
        id: "L0SM9cOFvHcCIhw=".to_owned(),
        api_id: "abcd123".to_owned(),
        stage: "prod".to_owned(),
        domain: domain.to_owned(),
        connected_at: 0,
        source_ip: None,
        user_agent: None,
    }
}
