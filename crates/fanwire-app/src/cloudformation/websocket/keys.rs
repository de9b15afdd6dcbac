//! The properties of API Gateway's resources. Those that have no meaning here are listed
//! too, so that they are not taken for mistakes.

use crate::decode::{Key, Kind, Others, Table};

const API_ID: Key = Key::required("ApiId", Kind::Text, "the API that it is a part of");

/// `AWS::ApiGatewayV2::Api`
pub(super) static API: Table = Table {
    name: "an API's properties",
    doc: "An API.",
    others: Others::Warned,
    keys: &[
        Key::new("Name", Kind::Text, "the API's name"),
        Key::required(
            "ProtocolType",
            Kind::Choice(&["WEBSOCKET", "HTTP"]),
            "WEBSOCKET, for an API that is served here",
        ),
        Key::new("RouteSelectionExpression", Kind::Text, "how the route of a message is found"),
        Key::ignored("ApiKeySelectionExpression"),
        Key::ignored("BasePath"),
        Key::ignored("Body"),
        Key::ignored("BodyS3Location"),
        Key::ignored("CorsConfiguration"),
        Key::ignored("CredentialsArn"),
        Key::ignored("Description"),
        Key::ignored("DisableExecuteApiEndpoint"),
        Key::ignored("DisableSchemaValidation"),
        Key::ignored("FailOnWarnings"),
        Key::ignored("IpAddressType"),
        Key::ignored("RouteKey"),
        Key::ignored("Tags"),
        Key::ignored("Target"),
        Key::ignored("Version"),
    ],
};

/// `AWS::ApiGatewayV2::Route`
pub(super) static ROUTE: Table = Table {
    name: "a route's properties",
    doc: "A route.",
    others: Others::Warned,
    keys: &[
        API_ID,
        Key::required("RouteKey", Kind::Text, "the route key, such as $connect"),
        Key::new("Target", Kind::Text, "integrations/ID"),
        Key::new(
            "AuthorizationType",
            Kind::Choice(&["NONE", "AWS_IAM", "CUSTOM"]),
            "who decides about connections",
        ),
        Key::new("AuthorizerId", Kind::Text, "the authorizer, with CUSTOM"),
        Key::new(
            "RouteResponseSelectionExpression",
            Kind::Choice(&["$default"]),
            "whether the result goes back to the client",
        ),
        Key::new("ApiKeyRequired", Kind::Boolean, "whether clients need an API key"),
        Key::ignored("AuthorizationScopes"),
        Key::ignored("ModelSelectionExpression"),
        Key::ignored("OperationName"),
        Key::ignored("RequestModels"),
        Key::ignored("RequestParameters"),
    ],
};

/// `AWS::ApiGatewayV2::RouteResponse`
pub(super) static ROUTE_RESPONSE: Table = Table {
    name: "a route response's properties",
    doc: "The response of a route.",
    others: Others::Warned,
    keys: &[
        API_ID,
        Key::required("RouteId", Kind::Text, "the route"),
        Key::required("RouteResponseKey", Kind::Choice(&["$default"]), "$default"),
        Key::ignored("ModelSelectionExpression"),
        Key::ignored("ResponseModels"),
        Key::ignored("ResponseParameters"),
    ],
};

/// `AWS::ApiGatewayV2::Integration`
pub(super) static INTEGRATION: Table = Table {
    name: "an integration's properties",
    doc: "What stands behind a route.",
    others: Others::Warned,
    keys: &[
        API_ID,
        Key::required(
            "IntegrationType",
            Kind::Choice(&["AWS", "AWS_PROXY", "HTTP", "HTTP_PROXY", "MOCK"]),
            "what it is",
        ),
        Key::new("IntegrationUri", Kind::Text, "the function or the URL"),
        Key::new("IntegrationMethod", Kind::Text, "the HTTP method"),
        Key::new("RequestParameters", Kind::TextMap, "parameters of the request to a backend"),
        Key::new("RequestTemplates", Kind::TextMap, "the body of the request, by key"),
        Key::new("TemplateSelectionExpression", Kind::Text, "which template is used"),
        Key::new(
            "TimeoutInMillis",
            Kind::Integer(50, 29_000),
            "how long the backend may take, in milliseconds",
        ),
        Key::new("ConnectionType", Kind::Choice(&["INTERNET", "VPC_LINK"]), "where it is"),
        Key::ignored("ConnectionId"),
        Key::ignored("ContentHandlingStrategy"),
        Key::ignored("CredentialsArn"),
        Key::ignored("Description"),
        Key::ignored("IntegrationSubtype"),
        Key::ignored("PassthroughBehavior"),
        Key::ignored("PayloadFormatVersion"),
        Key::ignored("ResponseParameters"),
        Key::ignored("TlsConfig"),
    ],
};

/// `AWS::ApiGatewayV2::IntegrationResponse`
pub(super) static INTEGRATION_RESPONSE: Table = Table {
    name: "an integration response's properties",
    doc: "What becomes of an integration's answer.",
    others: Others::Warned,
    keys: &[
        API_ID,
        Key::required("IntegrationId", Kind::Text, "the integration"),
        Key::required("IntegrationResponseKey", Kind::Text, "the answers that it is for"),
        Key::new("ResponseTemplates", Kind::TextMap, "what the client gets, by key"),
        Key::new("TemplateSelectionExpression", Kind::Text, "which template is used"),
        Key::ignored("ContentHandlingStrategy"),
        Key::ignored("ResponseParameters"),
    ],
};

/// `AWS::ApiGatewayV2::Authorizer`
pub(super) static AUTHORIZER: Table = Table {
    name: "an authorizer's properties",
    doc: "A function that decides about connections.",
    others: Others::Warned,
    keys: &[
        API_ID,
        Key::new("Name", Kind::Text, "the authorizer's name"),
        Key::new("AuthorizerType", Kind::Choice(&["REQUEST"]), "REQUEST"),
        Key::required("AuthorizerUri", Kind::Text, "the function that decides"),
        Key::new("IdentitySource", Kind::OneOrMoreTexts, "what a handshake must carry"),
        Key::ignored("AuthorizerCredentialsArn"),
        Key::ignored("AuthorizerPayloadFormatVersion"),
        Key::ignored("AuthorizerResultTtlInSeconds"),
        Key::ignored("EnableSimpleResponses"),
        Key::ignored("IdentityValidationExpression"),
        Key::ignored("JwtConfiguration"),
    ],
};

/// `AWS::ApiGatewayV2::Stage`
pub(super) static STAGE: Table = Table {
    name: "a stage's properties",
    doc: "A stage of an API.",
    others: Others::Warned,
    keys: &[
        API_ID,
        Key::required("StageName", Kind::Text, "the stage's name"),
        Key::new("StageVariables", Kind::TextMap, "values that events carry as stageVariables"),
        Key::new("AccessLogSettings", Kind::Table(&ACCESS_LOG), "one line a request"),
        Key::new("DefaultRouteSettings", Kind::Table(&ROUTE_SETTINGS), "what is logged"),
        Key::ignored("AccessPolicyId"),
        Key::ignored("AutoDeploy"),
        Key::ignored("ClientCertificateId"),
        Key::ignored("DeploymentId"),
        Key::ignored("Description"),
        Key::ignored("RouteSettings"),
        Key::ignored("Tags"),
    ],
};

static ACCESS_LOG: Table = Table {
    name: "AccessLogSettings",
    doc: "The access log.",
    others: Others::Warned,
    keys: &[
        Key::new("Format", Kind::Text, "a text with $context variables"),
        Key::ignored("DestinationArn"),
    ],
};

static ROUTE_SETTINGS: Table = Table {
    name: "DefaultRouteSettings",
    doc: "Settings of all routes.",
    others: Others::Warned,
    keys: &[
        Key::new("LoggingLevel", Kind::Choice(&["OFF", "ERROR", "INFO"]), "how much is logged"),
        Key::new("DataTraceEnabled", Kind::Boolean, "whether whole events and results are logged"),
        Key::ignored("DetailedMetricsEnabled"),
        Key::ignored("ThrottlingBurstLimit"),
        Key::ignored("ThrottlingRateLimit"),
    ],
};

/// `AWS::ApiGatewayV2::Deployment`
pub(super) static DEPLOYMENT: Table = Table {
    name: "a deployment's properties",
    doc: "A deployment of an API.",
    others: Others::Warned,
    keys: &[
        API_ID,
        Key::new("StageName", Kind::Text, "a stage that is made with it"),
        Key::ignored("Description"),
    ],
};

/// `AWS::ApiGatewayV2::ApiMapping`
pub(super) static API_MAPPING: Table = Table {
    name: "an API mapping's properties",
    doc: "The path of a custom domain that reaches an API.",
    others: Others::Warned,
    keys: &[
        API_ID,
        Key::new("ApiMappingKey", Kind::Text, "the path"),
        Key::required("Stage", Kind::Text, "the stage"),
        Key::ignored("DomainName"),
    ],
};
