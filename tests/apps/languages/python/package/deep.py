"""A module in a package, named with dots."""


def handler(event, _context):
    return f"Hello, {event['name']}, from a package"
