"""A handler on AWS's own runtime interface client for Python."""

import time


def handler(event, context):
    how = event.get("how")
    if how == "raise":
        raise ValueError("no such thing")
    if how == "never":
        time.sleep(3600)
    return {"hello": event.get("name"), "request": context.aws_request_id, "arn": context.invoked_function_arn}
