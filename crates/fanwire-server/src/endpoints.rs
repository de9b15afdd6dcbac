//! How handlers find this server, and what else the App has for them: AWS SDKs by the
//! variables that newer ones read, and by the hosts that older ones, and hard-coded URLs,
//! name; SST's SDK by the variables of its links.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use fanwire_app::App;
use fanwire_app::model::{DynamoDb, Function, Links, Realtime, SERVER_ADDRESS};
use indexmap::IndexMap;
use serde_json::{Value, json};

/// The App's functions as they are hosted: with the links that they find, and with the
/// server's address where their environment asks for it.
pub(crate) fn functions(app: &App, address: SocketAddr) -> IndexMap<String, Function> {
    let hosted = |function: &Function| Function {
        environment: variables(app, address, &function.environment, &function.links),
        ..function.clone()
    };
    app.functions.iter().map(|(key, function)| (key.clone(), hosted(function))).collect()
}

/// The environment variables of one function or site: its own, with the server's address
/// put in, and those of its links.
pub(crate) fn variables(
    app: &App,
    address: SocketAddr,
    own: &IndexMap<String, String>,
    links: &Links,
) -> IndexMap<String, String> {
    let place = reached_at(address);
    let put_in = |text: &String| text.replace(SERVER_ADDRESS, &place);
    let own = own.iter().map(|(name, value)| (name.clone(), put_in(value)));
    own.chain(link_variables(app, &place, links)).collect()
}

/// The host and the port by which clients reach a server of this machine.
fn reached_at(address: SocketAddr) -> String {
    format!("localhost:{}", address.port())
}

/// Those by which AWS SDKs find the services that `address` serves (reference: lambda.md,
/// section 5).
pub(crate) fn services(app: &App, address: SocketAddr) -> IndexMap<String, String> {
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
fn link_variables(app: &App, place: &str, links: &Links) -> IndexMap<String, String> {
    let mut found = vec![("App", json!({ "name": app.service, "stage": app.stage }))];
    let named = app.realtime.iter().map(|realtime| realtime_link(realtime, place));
    let named = named.chain(app.links.iter().map(|(name, link)| (name.as_str(), link.clone())));
    found.extend(named.filter(|(name, _)| links.include(name)));
    let variable = |(name, mut value): (&str, Value)| {
        put_in_all(&mut value, place);
        (format!("SST_RESOURCE_{name}"), value.to_string())
    };
    found.into_iter().map(variable).collect()
}

/// Puts the server's address into every text of a value.
fn put_in_all(value: &mut Value, place: &str) {
    match value {
        Value::String(text) if text.contains(SERVER_ADDRESS) => {
            *text = text.replace(SERVER_ADDRESS, place);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| put_in_all(item, place)),
        Value::Object(members) => {
            members.values_mut().for_each(|member| put_in_all(member, place));
        }
        _ => {}
    }
}

/// The link of SST's `Realtime` component (reference: iot.md, section 9.4): the host that
/// pages put between `wss://` and `/mqtt`, and the authorizer that they name.
fn realtime_link<'a>(realtime: &'a Realtime, place: &str) -> (&'a str, Value) {
    let mut link = json!({
        "endpoint": place,
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

    fn links_of(app: &App, links: &Links) -> IndexMap<String, String> {
        variables(app, "127.0.0.1:3001".parse().unwrap(), &IndexMap::new(), links)
    }

    #[test]
    fn every_service_that_is_served_has_its_variable() {
        let address = "0.0.0.0:3001".parse().unwrap();
        let variables = services(&app(DynamoDb::Embedded), address);
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
        assert_eq!(services(&app, address)["AWS_ENDPOINT_URL_DYNAMODB"], endpoint);
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
        let variables = links_of(&app, &Links::All);
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
    fn a_function_finds_the_links_that_it_names() {
        let app = load(
            "name = \"chat\"\n[functions.gate]\nhandler = \"a.b\"\nlinks = [\"Api\"]\n\
             environment = { URL = \"ws://${server:address}/dev\" }\n\
             [functions.all]\nhandler = \"a.b\"\n\
             [links.Api]\nurl = \"ws://${server:address}/dev\"\nports = [1, \"${server:address}\"]\n\
             [links.Secret]\nvalue = \"x\"\n",
        );
        let functions = functions(&app, "0.0.0.0:3001".parse().unwrap());
        let gate = &functions["gate"].environment;
        assert_eq!(gate["URL"], "ws://localhost:3001/dev");
        let api: Value = serde_json::from_str(&gate["SST_RESOURCE_Api"]).unwrap();
        let expected = json!({ "url": "ws://localhost:3001/dev", "ports": [1, "localhost:3001"] });
        assert_eq!(api, expected);
        assert!(gate.contains_key("SST_RESOURCE_App") && !gate.contains_key("SST_RESOURCE_Secret"));
        assert!(functions["all"].environment.contains_key("SST_RESOURCE_Secret"));
    }

    #[test]
    fn an_endpoint_without_authorizers_has_none_to_name() {
        let app = load("name = \"chat\"\n[realtime]\nallow_anonymous = true\n");
        let variables = links_of(&app, &Links::All);
        let link: Value = serde_json::from_str(&variables["SST_RESOURCE_Realtime"]).unwrap();
        assert_eq!(link.get("authorizer"), None);
    }
}
