"""Asks the server how it is, over https and with the interpreter's own idea of whom to trust."""

import ssl
from urllib.request import urlopen


def handler(event, context):
    # As strict as newer interpreters are by themselves.
    trusted = ssl.create_default_context()
    trusted.verify_flags |= ssl.VERIFY_X509_STRICT
    url = f"https://{event['requestContext']['domainName']}/ping"
    with urlopen(url, context=trusted, timeout=10) as response:
        return {"statusCode": 200, "body": response.read().decode()}
