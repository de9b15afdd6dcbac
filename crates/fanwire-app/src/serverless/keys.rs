//! The keys of `serverless.yml`, as far as Fanwire knows them. Keys that the
//! framework has and Fanwire has no use for are listed too, so that they are not
//! taken for mistakes.

use crate::cloudformation::IOT_SQL_VERSIONS;
use crate::decode::{Key, Kind, Others, Table};

/// The whole file.
pub(super) static SERVICE: Table = Table {
    name: "serverless.yml",
    doc: "A Serverless Framework service.",
    others: Others::Warned,
    keys: &[
        Key::required("service", Kind::Any, "the service's name"),
        Key::new("provider", Kind::Table(&PROVIDER), "what holds for all functions"),
        Key::new("functions", Kind::Any, "the functions by name"),
        Key::new("resources", Kind::Any, "CloudFormation resources"),
        Key::new("useDotenv", Kind::Boolean, "whether .env files are read"),
        Key::new("package", Kind::Table(&PACKAGE), "where the built code is"),
        Key::ignored("app"),
        Key::ignored("awsKmsKeyArn"),
        Key::ignored("build"),
        Key::ignored("configValidationMode"),
        Key::ignored("configurationMode"),
        Key::ignored("console"),
        Key::ignored("custom"),
        Key::ignored("dashboard"),
        Key::ignored("deprecationNotificationMode"),
        Key::ignored("disabledDeprecations"),
        Key::ignored("frameworkVersion"),
        Key::ignored("layers"),
        Key::ignored("licenseKey"),
        Key::ignored("org"),
        Key::ignored("outputs"),
        Key::ignored("params"),
        Key::ignored("plugins"),
        Key::ignored("projectDir"),
        Key::ignored("stages"),
        Key::ignored("state"),
        Key::ignored("tenant"),
        Key::ignored("tenantUid"),
        Key::ignored("unresolvedVariablesNotificationMode"),
        Key::ignored("variablesResolutionMode"),
    ],
};

/// `provider`
static PROVIDER: Table = Table {
    name: "provider",
    doc: "What holds for all functions.",
    others: Others::Warned,
    keys: &[
        Key::new("name", Kind::Choice(&["aws"]), "the cloud"),
        Key::new("runtime", Kind::Text, "the runtime of functions that name none"),
        Key::new("stage", Kind::Text, "the stage"),
        Key::new("region", Kind::Text, "the region"),
        Key::new("timeout", Kind::Integer(1, 900), "seconds"),
        Key::new("memorySize", Kind::Integer(128, 32768), "megabytes"),
        Key::new("environment", Kind::ReferenceMap, "environment variables"),
        Key::new("websocketsApiName", Kind::Text, "the WebSocket API's name"),
        Key::new("websocketsApiRouteSelectionExpression", Kind::Text, "how routes are selected"),
        Key::new("websocketsDescription", Kind::Text, "a description"),
        Key::new("websocket", Kind::Table(&PROVIDER_WEBSOCKET), "tags"),
        Key::new("apiGateway", Kind::Table(&API_GATEWAY), "an API that exists already"),
        Key::new("logs", Kind::Table(&LOGS), "logs"),
        Key::ignored("alb"),
        Key::ignored("apiKeys"),
        Key::ignored("apiName"),
        Key::ignored("architecture"),
        Key::ignored("cfnRole"),
        Key::ignored("cloudFront"),
        Key::ignored("deploymentBucket"),
        Key::ignored("deploymentMethod"),
        Key::ignored("deploymentPrefix"),
        Key::ignored("disableDefaultOutputExportNames"),
        Key::ignored("disableRollback"),
        Key::ignored("ecr"),
        Key::ignored("endpointType"),
        Key::ignored("eventBridge"),
        Key::ignored("httpApi"),
        Key::ignored("iam"),
        Key::ignored("iamManagedPolicies"),
        Key::ignored("iamRoleStatements"),
        Key::ignored("kmsKeyArn"),
        Key::ignored("kinesis"),
        Key::ignored("lambdaHashingVersion"),
        Key::ignored("layers"),
        Key::ignored("logDataProtectionPolicy"),
        Key::ignored("logRetentionInDays"),
        Key::ignored("notificationArns"),
        Key::ignored("profile"),
        Key::ignored("resolver"),
        Key::ignored("resourcePolicy"),
        Key::ignored("role"),
        Key::ignored("rolePermissionsBoundary"),
        Key::ignored("rollbackConfiguration"),
        Key::ignored("runtimeManagement"),
        Key::ignored("s3"),
        Key::ignored("shouldStartNameWithService"),
        Key::ignored("stackName"),
        Key::ignored("stackParameters"),
        Key::ignored("stackPolicy"),
        Key::ignored("stackTags"),
        Key::ignored("tags"),
        Key::ignored("timeouts"),
        Key::ignored("tracing"),
        Key::ignored("usagePlan"),
        Key::ignored("versionFunctions"),
        Key::ignored("vpc"),
        Key::ignored("vpcEndpointIds"),
    ],
};

static PROVIDER_WEBSOCKET: Table = Table {
    name: "provider.websocket",
    doc: "Tags of the WebSocket API.",
    others: Others::Refused,
    keys: &[Key::new("useProviderTags", Kind::Boolean, "whether the API gets the tags")],
};

static API_GATEWAY: Table = Table {
    name: "provider.apiGateway",
    doc: "APIs that exist already.",
    others: Others::Ignored,
    keys: &[Key::new("websocketApiId", Kind::Reference, "the id of a WebSocket API")],
};

static LOGS: Table = Table {
    name: "provider.logs",
    doc: "Logs.",
    others: Others::Ignored,
    keys: &[Key::new("websocket", Kind::BooleanOrTable(&WEBSOCKET_LOGS), "of the WebSocket API")],
};

static WEBSOCKET_LOGS: Table = Table {
    name: "provider.logs.websocket",
    doc: "Logs of the WebSocket API.",
    others: Others::Refused,
    keys: &[
        Key::new("accessLogging", Kind::Boolean, "one line a request"),
        Key::new("executionLogging", Kind::Boolean, "the steps of each request"),
        Key::new("fullExecutionData", Kind::Boolean, "whole events and results"),
        Key::new("format", Kind::Text, "the format of the access log"),
        Key::new("level", Kind::Choice(&["INFO", "ERROR"]), "how much is logged"),
        Key::ignored("roleManagedExternally"),
        Key::ignored("role"),
    ],
};

/// `package`, of the service and of a function.
static PACKAGE: Table = Table {
    name: "package",
    doc: "How code is packaged.",
    others: Others::Ignored,
    keys: &[Key::new("artifact", Kind::Any, "a zip file that is built already")],
};

/// The properties of the generated route `$connect`; the framework sets the others itself.
pub(super) static CONNECT_ROUTE: Table = Table {
    name: "a route's properties",
    doc: "What the file changes of the route $connect.",
    others: Others::Ignored,
    keys: &[
        Key::new(
            "AuthorizationType",
            Kind::Choice(&["NONE", "AWS_IAM", "CUSTOM"]),
            "who decides about connections",
        ),
        Key::new("ApiKeyRequired", Kind::Boolean, "whether clients need an API key"),
    ],
};

/// One function.
pub(super) static FUNCTION: Table = Table {
    name: "a function",
    doc: "A function.",
    others: Others::Warned,
    keys: &[
        Key::new("handler", Kind::Text, "the file and the function in it"),
        Key::new("runtime", Kind::Text, "the runtime"),
        Key::new("name", Kind::Text, "the full name"),
        Key::new("timeout", Kind::Integer(1, 900), "seconds"),
        Key::new("memorySize", Kind::Integer(128, 32768), "megabytes"),
        Key::new("environment", Kind::ReferenceMap, "environment variables"),
        Key::new("reservedConcurrency", Kind::Integer(0, 100_000), "events at a time"),
        Key::new("events", Kind::Any, "what calls the function"),
        Key::new("package", Kind::Table(&PACKAGE), "where the built code is"),
        Key::new("image", Kind::Any, "a container image"),
        Key::new("url", Kind::Any, "a function URL"),
        Key::ignored("architecture"),
        Key::ignored("awsKmsKeyArn"),
        Key::ignored("build"),
        Key::ignored("condition"),
        Key::ignored("dependsOn"),
        Key::ignored("description"),
        Key::ignored("destinations"),
        Key::ignored("disableLogs"),
        Key::ignored("durableConfig"),
        Key::ignored("ephemeralStorageSize"),
        Key::ignored("fileSystemConfig"),
        Key::ignored("iamRoleStatements"),
        Key::ignored("iamRoleStatementsName"),
        Key::ignored("iamRoleStatementsInherit"),
        Key::ignored("kmsKeyArn"),
        Key::ignored("layers"),
        Key::ignored("logDataProtectionPolicy"),
        Key::ignored("logRetentionInDays"),
        Key::ignored("logs"),
        Key::ignored("maximumEventAge"),
        Key::ignored("maximumRetryAttempts"),
        Key::ignored("onError"),
        Key::ignored("provisionedConcurrency"),
        Key::ignored("role"),
        Key::ignored("rolePermissionsBoundary"),
        Key::ignored("runtimeManagement"),
        Key::ignored("snapStart"),
        Key::ignored("tags"),
        Key::ignored("tenancy"),
        Key::ignored("tracing"),
        Key::ignored("versionFunction"),
        Key::ignored("vpc"),
        Key::ignored("warmup"),
    ],
};

/// The long form of a `websocket` event.
pub(super) static WEBSOCKET_EVENT: Table = Table {
    name: "a websocket event",
    doc: "A route of the WebSocket API.",
    others: Others::Refused,
    keys: &[
        Key::required("route", Kind::Text, "the route key"),
        Key::new(
            "routeResponseSelectionExpression",
            Kind::Choice(&["$default"]),
            "whether the result goes back to the client",
        ),
        Key::new("authorizer", Kind::Any, "who decides about connections"),
    ],
};

/// The long form of an authorizer.
pub(super) static AUTHORIZER: Table = Table {
    name: "an authorizer",
    doc: "A function that decides about connections.",
    others: Others::Refused,
    keys: &[
        Key::new("name", Kind::Text, "a function of this file, or the authorizer's name"),
        Key::new("arn", Kind::Reference, "the ARN of a function"),
        Key::new("identitySource", Kind::Any, "what a handshake must carry"),
    ],
};

/// An `iot` event.
pub(super) static IOT_EVENT: Table = Table {
    name: "an iot event",
    doc: "A topic rule.",
    others: Others::Refused,
    keys: &[
        Key::required("sql", Kind::Text, "the statement"),
        Key::new("sqlVersion", Kind::Choice(&IOT_SQL_VERSIONS), "the version of IoT SQL"),
        Key::new("name", Kind::Text, "the rule's name"),
        Key::new("enabled", Kind::Boolean, "whether the function gets anything"),
        Key::new("description", Kind::Text, "a description"),
    ],
};
