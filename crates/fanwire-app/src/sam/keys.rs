//! What a template may say, as far as Fanwire looks at it. What has no meaning here is
//! listed too, so that it is not taken for a mistake.

use crate::decode::{Key, Kind, Others, Table};

/// The whole file.
pub(super) static TEMPLATE: Table = Table {
    name: "the template",
    doc: "A SAM or CloudFormation template.",
    others: Others::Warned,
    keys: &[
        Key::new("Parameters", Kind::Any, "values that are given when it is deployed"),
        Key::new("Mappings", Kind::Any, "values by keys"),
        Key::new("Conditions", Kind::Any, "truths by name"),
        Key::new("Globals", Kind::Table(&GLOBALS), "properties of all resources of a type"),
        Key::required("Resources", Kind::Any, "the resources by logical id"),
        Key::ignored("AWSTemplateFormatVersion"),
        Key::ignored("Description"),
        Key::ignored("Hooks"),
        Key::ignored("Metadata"),
        Key::ignored("Outputs"),
        Key::ignored("Rules"),
        Key::ignored("Transform"),
    ],
};

static GLOBALS: Table = Table {
    name: "Globals",
    doc: "Properties of all resources of a type.",
    others: Others::Warned,
    keys: &[
        Key::new("Function", Kind::Any, "of functions"),
        Key::new("WebSocketApi", Kind::Any, "of WebSocket APIs"),
        Key::new("SimpleTable", Kind::Any, "of tables"),
        Key::ignored("Api"),
        Key::ignored("CapacityProvider"),
        Key::ignored("HttpApi"),
        Key::ignored("LayerVersion"),
        Key::ignored("StateMachine"),
    ],
};

/// A parameter.
pub(super) static PARAMETER: Table = Table {
    name: "a parameter",
    doc: "A parameter.",
    others: Others::Warned,
    keys: &[
        Key::required("Type", Kind::Text, "the type, such as String"),
        Key::new("Default", Kind::Any, "the value where none is given"),
        Key::new("AllowedValues", Kind::TextList, "the values that it may have"),
        Key::new("MinLength", Kind::Integer(0, 1_000_000), "the fewest characters"),
        Key::new("MaxLength", Kind::Integer(0, 1_000_000), "the most characters"),
        Key::ignored("AllowedPattern"),
        Key::ignored("ConstraintDescription"),
        Key::ignored("Description"),
        Key::ignored("MaxValue"),
        Key::ignored("MinValue"),
        Key::ignored("NoEcho"),
    ],
};

const HANDLER: Key = Key::new("Handler", Kind::Text, "the file and the function in it");
const RUNTIME: Key = Key::new("Runtime", Kind::Text, "the runtime");
const PACKAGE_TYPE: Key = Key::new("PackageType", Kind::Choice(&["Zip", "Image"]), "what it is");
const NAME: Key = Key::new("FunctionName", Kind::Text, "the full name");
const TIMEOUT: Key = Key::new("Timeout", Kind::Integer(1, 900), "seconds");
const MEMORY: Key = Key::new("MemorySize", Kind::Integer(128, 32_768), "megabytes");
const ENVIRONMENT: Key = Key::new("Environment", Kind::Table(&VARIABLES), "environment variables");
const CONCURRENCY: Key =
    Key::new("ReservedConcurrentExecutions", Kind::Integer(0, 100_000), "events at a time");

static VARIABLES: Table = Table {
    name: "Environment",
    doc: "Environment variables.",
    others: Others::Refused,
    // Their values are looked at where they are put together.
    keys: &[Key::new("Variables", Kind::Ignored, "the variables by name")],
};

/// `AWS::Serverless::Function`
pub(super) static SERVERLESS_FUNCTION: Table = Table {
    name: "a function's properties",
    doc: "A function.",
    others: Others::Warned,
    keys: &[
        HANDLER,
        RUNTIME,
        PACKAGE_TYPE,
        NAME,
        TIMEOUT,
        MEMORY,
        ENVIRONMENT,
        CONCURRENCY,
        Key::new("CodeUri", Kind::Any, "the folder of its code"),
        Key::new("InlineCode", Kind::Text, "its code"),
        Key::new("Events", Kind::Any, "what calls it"),
        Key::new("FunctionUrlConfig", Kind::Any, "a function URL"),
        Key::new("Layers", Kind::Any, "layers"),
        Key::ignored("Architectures"),
        Key::ignored("AssumeRolePolicyDocument"),
        Key::ignored("AutoPublishAlias"),
        Key::ignored("AutoPublishAliasAllProperties"),
        Key::ignored("AutoPublishCodeSha256"),
        Key::ignored("CapacityProviderConfig"),
        Key::ignored("CodeSigningConfigArn"),
        Key::ignored("DeadLetterQueue"),
        Key::ignored("DeploymentPreference"),
        Key::ignored("Description"),
        Key::ignored("DurableConfig"),
        Key::ignored("EphemeralStorage"),
        Key::ignored("EventInvokeConfig"),
        Key::ignored("FileSystemConfigs"),
        Key::ignored("FunctionScalingConfig"),
        Key::ignored("ImageConfig"),
        Key::ignored("ImageUri"),
        Key::ignored("KmsKeyArn"),
        Key::ignored("LoggingConfig"),
        Key::ignored("PermissionsBoundary"),
        Key::ignored("Policies"),
        Key::ignored("PropagateTags"),
        Key::ignored("ProvisionedConcurrencyConfig"),
        Key::ignored("PublishToLatestPublished"),
        Key::ignored("RecursiveLoop"),
        Key::ignored("Role"),
        Key::ignored("RolePath"),
        Key::ignored("RuntimeManagementConfig"),
        Key::ignored("SnapStart"),
        Key::ignored("SourceKMSKeyArn"),
        Key::ignored("Tags"),
        Key::ignored("TenancyConfig"),
        Key::ignored("Tracing"),
        Key::ignored("VersionDescription"),
        Key::ignored("VersionDeletionPolicy"),
        Key::ignored("VpcConfig"),
    ],
};

/// `AWS::Lambda::Function`
pub(super) static LAMBDA_FUNCTION: Table = Table {
    name: "a function's properties",
    doc: "A function.",
    others: Others::Warned,
    keys: &[
        HANDLER,
        RUNTIME,
        PACKAGE_TYPE,
        NAME,
        TIMEOUT,
        MEMORY,
        ENVIRONMENT,
        CONCURRENCY,
        Key::required("Code", Kind::Any, "its code"),
        Key::new("Layers", Kind::Any, "layers"),
        Key::ignored("Architectures"),
        Key::ignored("CapacityProviderConfig"),
        Key::ignored("CodeSigningConfigArn"),
        Key::ignored("DeadLetterConfig"),
        Key::ignored("Description"),
        Key::ignored("DurableConfig"),
        Key::ignored("EphemeralStorage"),
        Key::ignored("FileSystemConfigs"),
        Key::ignored("FunctionScalingConfig"),
        Key::ignored("ImageConfig"),
        Key::ignored("KmsKeyArn"),
        Key::ignored("LoggingConfig"),
        Key::ignored("PublishToLatestPublished"),
        Key::ignored("RecursiveLoop"),
        Key::ignored("Role"),
        Key::ignored("RuntimeManagementConfig"),
        Key::ignored("SnapStart"),
        Key::ignored("Tags"),
        Key::ignored("TenancyConfig"),
        Key::ignored("TracingConfig"),
        Key::ignored("VpcConfig"),
    ],
};

/// `AWS::Serverless::WebSocketApi`. Its values may be functions, so their kinds are looked
/// at once they are those of CloudFormation's resources.
pub(super) static WEBSOCKET_API: Table = Table {
    name: "a WebSocket API's properties",
    doc: "A WebSocket API.",
    others: Others::Warned,
    keys: &[
        Key::required("RouteSelectionExpression", Kind::Any, "how the route of a message is found"),
        Key::required("Routes", Kind::Any, "the routes by route key"),
        Key::new("Name", Kind::Any, "the API's name"),
        Key::new("Auth", Kind::Table(&WEBSOCKET_AUTH), "who decides about connections"),
        Key::new("StageName", Kind::Any, "the stage"),
        Key::new("StageVariables", Kind::Any, "values that events carry as stageVariables"),
        Key::new("AccessLogSettings", Kind::Any, "one line a request"),
        Key::new("DefaultRouteSettings", Kind::Any, "what is logged"),
        Key::new("Domain", Kind::Any, "a custom domain"),
        Key::ignored("ApiKeySelectionExpression"),
        Key::ignored("Description"),
        Key::ignored("DisableExecuteApiEndpoint"),
        Key::ignored("DisableSchemaValidation"),
        Key::ignored("FailOnWarnings"),
        Key::ignored("IpAddressType"),
        Key::ignored("PropagateTags"),
        Key::ignored("RouteSettings"),
        Key::ignored("Tags"),
    ],
};

static WEBSOCKET_AUTH: Table = Table {
    name: "Auth",
    doc: "Who decides about connections.",
    others: Others::Warned,
    keys: &[
        Key::new("AuthType", Kind::Any, "NONE, AWS_IAM or CUSTOM"),
        Key::new("AuthArn", Kind::Any, "the function that decides"),
        Key::new("IdentitySource", Kind::Any, "what a handshake must carry"),
        Key::new("Name", Kind::Any, "the authorizer's name"),
        Key::ignored("InvokeRole"),
    ],
};

/// A route of an `AWS::Serverless::WebSocketApi`.
pub(super) static WEBSOCKET_ROUTE: Table = Table {
    name: "a route",
    doc: "A route.",
    others: Others::Warned,
    keys: &[
        Key::required("FunctionArn", Kind::Any, "the function that gets the messages"),
        Key::new("RouteResponseSelectionExpression", Kind::Any, "whether its result goes back"),
        Key::new("IntegrationTimeout", Kind::Any, "how long it may take, in milliseconds"),
        Key::new("ApiKeyRequired", Kind::Any, "whether clients need an API key"),
        Key::ignored("ModelSelectionExpression"),
        Key::ignored("OperationName"),
        Key::ignored("RequestModels"),
        Key::ignored("RequestParameters"),
    ],
};

/// `AWS::Serverless::SimpleTable`
pub(super) static SIMPLE_TABLE: Table = Table {
    name: "a table's properties",
    doc: "A table.",
    others: Others::Warned,
    keys: &[
        Key::new("PrimaryKey", Kind::Any, "the key's name and type"),
        Key::new("TableName", Kind::Any, "the name"),
        Key::ignored("PointInTimeRecoverySpecification"),
        Key::ignored("ProvisionedThroughput"),
        Key::ignored("SSESpecification"),
        Key::ignored("Tags"),
    ],
};
