# === Where connections go ===

AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
# More hosts than one function calls; the host tells each service once.
MOST_REPORTED = 256


def install_redirect(channel, own_port, hosts):
    """Clients look names up with `socket.getaddrinfo`: names that are ours get our
    address and port there, and all others pass as they are. Code that gives a name to
    `connect` of a bare socket is not reached."""
    import re
    import socket

    patterns = "|".join(re.escape(host).replace(r"\*", "[^.]+") for host in hosts)
    served = re.compile(patterns or r"(?!)", re.IGNORECASE)
    own_name = re.compile(r"localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\]", re.IGNORECASE)
    reported = set()
    original = socket.getaddrinfo

    def is_ours(host, wanted):
        # Some clients are given `localhost:3001` as a host, beside the port of https.
        name, _, own = host.rpartition(":")
        if own == str(own_port) and (own_name.fullmatch(name) or served.fullmatch(name)):
            return True
        if served.fullmatch(host):
            return str(wanted) in ("None", "443", "80", "https", "http", str(own_port))
        if host.lower().endswith(AWS_DOMAINS) and host not in reported and len(reported) < MOST_REPORTED:
            reported.add(host)
            if not channel.forked:
                channel.send(AWS_CALL, host.lower().encode("utf-8", "replace"))
        return False

    def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
        name = host.decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else host
        if isinstance(name, str) and is_ours(name, port):
            return original("127.0.0.1", own_port, 0, type, proto, flags)
        return original(host, port, family, type, proto, flags)

    socket.getaddrinfo = getaddrinfo


