"""A plain handler, and what it can learn about itself."""

import os
from decimal import Decimal


def handler(event, context):
    return {
        "hello": event.get("name"),
        "decimal": Decimal("1.5"),
        "remaining": context.get_remaining_time_in_millis(),
        "context": {
            name: getattr(context, name)
            for name in (
                "aws_request_id",
                "function_name",
                "function_version",
                "invoked_function_arn",
                "memory_limit_in_mb",
                "log_group_name",
                "log_stream_name",
                "client_context",
            )
        },
        "cognito": [context.identity.cognito_identity_id, context.identity.cognito_identity_pool_id],
        "env": {name: os.environ.get(name) for name in ("_HANDLER", "AWS_REGION", "AWS_LAMBDA_FUNCTION_NAME", "TZ")},
        "cwd": os.getcwd(),
    }


def websocket(event, _context):
    print("printed by python")
    return {"statusCode": 200, "body": f"{event['requestContext']['routeKey']}: {event['body']}"}
