//! How AWS SDKs in handlers find this server: by the variables that newer ones read,
//! and by the hosts that older ones, and hard-coded URLs, name.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use fanwire_app::App;
use fanwire_app::model::DynamoDb;
use indexmap::IndexMap;

/// The environment variables by which AWS SDKs find the services that `address` serves
/// (reference: lambda.md, section 5).
pub(crate) fn variables(app: &App, address: SocketAddr) -> IndexMap<String, String> {
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

/// The hosts that mean this server to a handler, whatever the region: AWS's own of the
/// services that are served. `*` stands for one label.
pub(crate) fn hosts(app: &App) -> Vec<String> {
    let mut services = vec!["lambda".to_owned()];
    services.extend(app.websocket_apis.iter().map(|api| format!("{}.execute-api", api.id)));
    if app.dynamodb == DynamoDb::Embedded {
        // The last is the form with an account id, `123456789012.ddb.…`.
        services.extend(["dynamodb", "streams.dynamodb", "*.ddb"].map(str::to_owned));
    }
    let suffixes = ["amazonaws.com", "amazonaws.com.cn"];
    let of = |service: &String| suffixes.map(|suffix| format!("{service}.*.{suffix}"));
    services.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(dynamodb: DynamoDb) -> App {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fanwire.toml");
        std::fs::write(&file, "name = \"a\"\n[[websocket]]\nid = \"abcdefghij\"\n").unwrap();
        let app = fanwire_app::load(&file, &fanwire_app::LoadOptions::default()).unwrap().app;
        App { dynamodb, ..app }
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
}
