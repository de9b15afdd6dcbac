//! How handlers find this server, and what else the App has for them: AWS SDKs by the
//! variables that newer ones read, and by the hosts that older ones, and hard-coded URLs,
//! name; SST's SDK by the variables of its links.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use fanwire_app::App;
use fanwire_app::model::{DynamoDb, Realtime};
use indexmap::IndexMap;
use serde_json::{Value, json};

/// The environment variables that every function of the App gets for the server's sake.
pub(crate) fn variables(app: &App, address: SocketAddr) -> IndexMap<String, String> {
    let mut variables = services(app, address);
    variables.extend(links(app, address.port()));
    variables
}

/// Those by which AWS SDKs find the services that `address` serves (reference: lambda.md,
/// section 5).
fn services(app: &App, address: SocketAddr) -> IndexMap<String, String> {
    let ip = match address.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    let server = format!("http://{}", SocketAddr::new(ip, address.port()));
    let dynamodb = match &app.dynamodb {
        DynamoDb::Embedded => server.clone(),
        DynamoDb::Elsewhere { endpoint } => endpoint.clone(),
    };
    let management = app.websocket_apis.first().map(|api| format!("{server}/{}", api.stage));
    let services = [
        ("APIGATEWAYMANAGEMENTAPI", management),
        ("LAMBDA", Some(server.clone())),
        ("DYNAMODB", Some(dynamodb)),
        ("IOT_DATA_PLANE", Some(server)),
    ];
    let given = services.into_iter().filter_map(|(service, url)| Some((service, url?)));
    given.map(|(service, url)| (format!("AWS_ENDPOINT_URL_{service}"), url)).collect()
}

/// Those by which SST's SDK finds what the App links: `Resource.NAME` (reference: iot.md,
/// section 9.5).
fn links(app: &App, port: u16) -> IndexMap<String, String> {
    let mut links = vec![("App", json!({ "name": app.service, "stage": app.stage }))];
    links.extend(app.realtime.iter().map(|realtime| realtime_link(realtime, port)));
    links.extend(app.links.iter().map(|(name, properties)| (name.as_str(), json!(properties))));
    let variable =
        |(name, value): (&str, Value)| (format!("SST_RESOURCE_{name}"), value.to_string());
    links.into_iter().map(variable).collect()
}

/// The link of SST's `Realtime` component (reference: iot.md, section 9.4): the host that
/// pages put between `wss://` and `/mqtt`, and the authorizer that they name.
fn realtime_link(realtime: &Realtime, port: u16) -> (&str, Value) {
    let mut link = json!({
        "endpoint": format!("localhost:{port}"),
        "type": "sst.aws.Realtime",
    });
    let first = || realtime.authorizers.keys().next();
    if let Some(authorizer) = realtime.default_authorizer.as_ref().or_else(first) {
        link["authorizer"] = json!(authorizer);
    }
    (realtime.name.as_str(), link)
}

/// The hosts that mean this server to a handler, whatever the region: AWS's own of the
/// services that are served. `*` stands for one label.
pub(crate) fn hosts(app: &App) -> Vec<String> {
    let mut services = vec!["lambda".to_owned()];
    services.extend(app.websocket_apis.iter().map(|api| format!("{}.execute-api", api.id)));
    if app.dynamodb == DynamoDb::Embedded {
        // The last is the form with an account id, `123456789012.ddb.…`.
        services.extend(["dynamodb", "streams.dynamodb", "*.ddb"].map(str::to_owned));
    }
    if app.realtime.is_some() {
        // `data-ats.iot`, or an account's own, `a1b2c3-ats.iot`.
        services.push("*.iot".to_owned());
    }
    let suffixes = ["amazonaws.com", "amazonaws.com.cn"];
    let of = |service: &String| suffixes.map(|suffix| format!("{service}.*.{suffix}"));
    services.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> App {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fanwire.toml");
        std::fs::write(&file, text).unwrap();
        fanwire_app::load(&file, &fanwire_app::LoadOptions::default()).unwrap().app
    }

    fn app(dynamodb: DynamoDb) -> App {
        App { dynamodb, ..load("name = \"a\"\n[[websocket]]\nid = \"abcdefghij\"\n") }
    }

    #[test]
    fn every_service_that_is_served_has_its_variable() {
        let address = "0.0.0.0:3001".parse().unwrap();
        let variables = variables(&app(DynamoDb::Embedded), address);
        let url = |service: &str| variables[&format!("AWS_ENDPOINT_URL_{service}")].as_str();
        assert_eq!(url("APIGATEWAYMANAGEMENTAPI"), "http://127.0.0.1:3001/dev");
        for service in ["LAMBDA", "DYNAMODB", "IOT_DATA_PLANE"] {
            assert_eq!(url(service), "http://127.0.0.1:3001", "{service}");
        }
    }

    #[test]
    fn a_dynamodb_elsewhere_is_not_ours_to_answer_for() {
        let endpoint = "https://dynamodb.eu-west-1.amazonaws.com".to_owned();
        let app = app(DynamoDb::Elsewhere { endpoint: endpoint.clone() });
        let address = "127.0.0.1:3001".parse().unwrap();
        assert_eq!(variables(&app, address)["AWS_ENDPOINT_URL_DYNAMODB"], endpoint);
        assert!(!hosts(&app).iter().any(|host| host.contains("dynamodb")));
    }

    #[test]
    fn the_apps_own_api_has_its_host() {
        let hosts = hosts(&app(DynamoDb::Embedded));
        for host in ["abcdefghij.execute-api.*.amazonaws.com", "dynamodb.*.amazonaws.com"] {
            assert!(hosts.iter().any(|known| known == host), "{host} in {hosts:?}");
        }
    }

    #[test]
    fn links_are_what_sst_s_sdk_reads() {
        let app = load(
            "name = \"chat\"\n[functions.gate]\nhandler = \"a.b\"\n[realtime]\nname = \"Chat\"\n\
             [realtime.authorizers.door]\nfunction = \"gate\"\n\
             [links.Bucket]\nname = \"pictures\"\ntype = \"sst.aws.Bucket\"\n",
        );
        let variables = variables(&app, "127.0.0.1:3001".parse().unwrap());
        for (name, expected) in [
            ("App", json!({ "name": "chat", "stage": "dev" })),
            (
                "Chat",
                json!({
                    "endpoint": "localhost:3001",
                    "authorizer": "door",
                    "type": "sst.aws.Realtime",
                }),
            ),
            ("Bucket", json!({ "name": "pictures", "type": "sst.aws.Bucket" })),
        ] {
            let value: Value =
                serde_json::from_str(&variables[&format!("SST_RESOURCE_{name}")]).unwrap();
            assert_eq!(value, expected, "{name}");
        }
        assert!(hosts(&app).contains(&"*.iot.*.amazonaws.com".to_owned()));
    }

    #[test]
    fn an_endpoint_without_authorizers_has_none_to_name() {
        let app = load("name = \"chat\"\n[realtime]\nallow_anonymous = true\n");
        let variables = variables(&app, "127.0.0.1:3001".parse().unwrap());
        let link: Value = serde_json::from_str(&variables["SST_RESOURCE_Realtime"]).unwrap();
        assert_eq!(link.get("authorizer"), None);
    }
}
