//! The properties of the resources that become parts of an App. Those that have no meaning
//! outside AWS are listed too, so that they are not taken for mistakes.

use crate::decode::{Key, Kind, Others, Table};
use crate::model::{AttributeType, StreamView};

/// The properties of `AWS::DynamoDB::Table` and `AWS::DynamoDB::GlobalTable`.
pub(super) static TABLE: Table = Table {
    name: "a table's properties",
    doc: "A DynamoDB table.",
    others: Others::Warned,
    keys: &[
        // Its faults are told where the name is made.
        Key::new("TableName", Kind::Ignored, "the name"),
        Key::required(
            "AttributeDefinitions",
            Kind::ListOf(&ATTRIBUTE_DEFINITION),
            "the types of the attributes that keys are made of",
        ),
        Key::required("KeySchema", Kind::ListOf(&KEY_PART), "the key"),
        Key::new("GlobalSecondaryIndexes", Kind::ListOf(&INDEX), "global indexes"),
        Key::new("LocalSecondaryIndexes", Kind::ListOf(&INDEX), "local indexes"),
        Key::new("TimeToLiveSpecification", Kind::Table(&TIME_TO_LIVE), "when items go"),
        Key::new("StreamSpecification", Kind::Table(&STREAM), "the stream"),
        Key::ignored("BillingMode"),
        Key::ignored("ContributorInsightsSpecification"),
        Key::ignored("DeletionProtectionEnabled"),
        Key::ignored("GlobalTableSettingsReplicationMode"),
        Key::ignored("GlobalTableSourceArn"),
        Key::ignored("GlobalTableWitnesses"),
        Key::ignored("ImportSourceSpecification"),
        Key::ignored("KinesisStreamSpecification"),
        Key::ignored("MultiRegionConsistency"),
        Key::ignored("OnDemandThroughput"),
        Key::ignored("PointInTimeRecoverySpecification"),
        Key::ignored("ProvisionedThroughput"),
        Key::ignored("ReadOnDemandThroughputSettings"),
        Key::ignored("ReadProvisionedThroughputSettings"),
        Key::ignored("Replicas"),
        Key::ignored("ResourcePolicy"),
        Key::ignored("SSESpecification"),
        Key::ignored("TableClass"),
        Key::ignored("Tags"),
        Key::ignored("WarmThroughput"),
        Key::ignored("WriteOnDemandThroughputSettings"),
        Key::ignored("WriteProvisionedThroughputSettings"),
    ],
};

static ATTRIBUTE_DEFINITION: Table = Table {
    name: "an attribute definition",
    doc: "The type of an attribute.",
    others: Others::Refused,
    keys: &[
        Key::required("AttributeName", Kind::Text, "the attribute"),
        Key::required("AttributeType", Kind::Choice(&AttributeType::NAMES), "S, N or B"),
    ],
};

static KEY_PART: Table = Table {
    name: "a part of a key",
    doc: "A part of a key.",
    others: Others::Refused,
    keys: &[
        Key::required("AttributeName", Kind::Text, "the attribute"),
        Key::required("KeyType", Kind::Choice(&["HASH", "RANGE"]), "HASH or RANGE"),
    ],
};

static INDEX: Table = Table {
    name: "an index",
    doc: "A secondary index.",
    others: Others::Warned,
    keys: &[
        Key::required("IndexName", Kind::Text, "the name"),
        Key::required("KeySchema", Kind::ListOf(&KEY_PART), "the key"),
        Key::required("Projection", Kind::Table(&PROJECTION), "what can be read from it"),
        Key::ignored("ContributorInsightsSpecification"),
        Key::ignored("OnDemandThroughput"),
        Key::ignored("ProvisionedThroughput"),
        Key::ignored("ReadOnDemandThroughputSettings"),
        Key::ignored("ReadProvisionedThroughputSettings"),
        Key::ignored("WarmThroughput"),
        Key::ignored("WriteOnDemandThroughputSettings"),
        Key::ignored("WriteProvisionedThroughputSettings"),
    ],
};

static PROJECTION: Table = Table {
    name: "a projection",
    doc: "What can be read from an index.",
    others: Others::Refused,
    keys: &[
        Key::required(
            "ProjectionType",
            Kind::Choice(&["ALL", "KEYS_ONLY", "INCLUDE"]),
            "ALL, KEYS_ONLY or INCLUDE",
        ),
        Key::new("NonKeyAttributes", Kind::TextList, "the attributes, with INCLUDE"),
    ],
};

static TIME_TO_LIVE: Table = Table {
    name: "a TimeToLiveSpecification",
    doc: "When items go.",
    others: Others::Refused,
    keys: &[
        Key::new("AttributeName", Kind::Text, "the attribute with the time, in seconds since 1970"),
        Key::required("Enabled", Kind::Boolean, "whether items go"),
    ],
};

static STREAM: Table = Table {
    name: "a StreamSpecification",
    doc: "The table's stream.",
    others: Others::Warned,
    keys: &[
        Key::required(
            "StreamViewType",
            Kind::Choice(&StreamView::NAMES),
            "what is recorded of a changed item",
        ),
        Key::ignored("ResourcePolicy"),
    ],
};

/// The words of `AwsIotSqlVersion`.
pub(crate) const IOT_SQL_VERSIONS: [&str; 3] = ["2015-10-08", "2016-03-23", "beta"];

/// The properties of `AWS::IoT::TopicRule`.
pub(super) static TOPIC_RULE: Table = Table {
    name: "a topic rule's properties",
    doc: "A topic rule.",
    others: Others::Warned,
    keys: &[
        Key::ignored("RuleName"),
        Key::ignored("Tags"),
        Key::required("TopicRulePayload", Kind::Table(&TOPIC_RULE_PAYLOAD), "the rule"),
    ],
};

static TOPIC_RULE_PAYLOAD: Table = Table {
    name: "a TopicRulePayload",
    doc: "A topic rule.",
    others: Others::Warned,
    keys: &[
        Key::required("Sql", Kind::Text, "the statement"),
        Key::new("AwsIotSqlVersion", Kind::Choice(&IOT_SQL_VERSIONS), "the version of IoT SQL"),
        Key::new("RuleDisabled", Kind::Boolean, "whether nothing is done"),
        Key::required("Actions", Kind::ListOf(&ACTION), "what is done"),
        Key::new("ErrorAction", Kind::Table(&ACTION), "what is done where that fails"),
        Key::ignored("Description"),
    ],
};

static ACTION: Table = Table {
    name: "an action",
    doc: "What a topic rule does.",
    others: Others::Ignored,
    keys: &[Key::new("Lambda", Kind::Table(&LAMBDA_ACTION), "a function that is called")],
};

static LAMBDA_ACTION: Table = Table {
    name: "a Lambda action",
    doc: "A function that is called.",
    others: Others::Refused,
    keys: &[Key::required("FunctionArn", Kind::Text, "the function's ARN")],
};

/// The properties of `AWS::IoT::Authorizer`.
pub(super) static IOT_AUTHORIZER: Table = Table {
    name: "an authorizer's properties",
    doc: "An authorizer of the realtime endpoint.",
    others: Others::Warned,
    keys: &[
        Key::required("AuthorizerFunctionArn", Kind::Text, "the function that decides"),
        Key::new("SigningDisabled", Kind::Boolean, "whether tokens are not signed"),
        Key::new("Status", Kind::Choice(&["ACTIVE", "INACTIVE"]), "whether it exists"),
        Key::new("TokenKeyName", Kind::Text, "the parameter that carries the token"),
        Key::new("TokenSigningPublicKeys", Kind::TextMap, "the keys that tokens are signed with"),
        Key::ignored("AuthorizerName"),
        Key::ignored("EnableCachingForHttp"),
        Key::ignored("Tags"),
    ],
};
