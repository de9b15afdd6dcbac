// === Where connections go ===

// Names of this machine that the app may be given as its own, with our port.
const OWN_NAME = /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/i;
const NAME_AND_PORT = /^(\[[^\]]+\]|[^:]+):(\d{1,5})$/;
const AWS_HOST = /\.(amazonaws\.com|amazonaws\.com\.cn|api\.aws)$/i;
// More hosts than one function calls; the host tells each service once.
const MOST_REPORTED = 256;

// Tells whether a host is one of `hosts`, in which `*` stands for one label.
function matcher(hosts) {
  const escaped = (text) => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
  const pattern = (host) => host.split('*').map(escaped).join('[^.]+');
  const any = new RegExp('^(' + hosts.map(pattern).join('|') + ')$', 'i');
  return (host) => hosts.length > 0 && any.test(host);
}

// Decides for a host and a port, as code gives them: the bare name if the connection is
// ours to serve, undefined if it is left alone.
function director(port, hosts) {
  const isServed = matcher(hosts);
  const reported = new Set();
  return (host, wanted) => {
    // Some clients are given `localhost:3001` as a host, beside the port of https.
    const parts = NAME_AND_PORT.exec(host);
    if (parts && Number(parts[2]) === port && (OWN_NAME.test(parts[1]) || isServed(parts[1]))) {
      return parts[1];
    }
    if (isServed(host)) {
      const number = wanted === undefined ? port : Number(wanted);
      return number === 443 || number === 80 || number === port ? host : undefined;
    }
    if (AWS_HOST.test(host) && !reported.has(host) && reported.size < MOST_REPORTED) {
      reported.add(host);
      send(AWS_CALL, host.toLowerCase());
    }
    return undefined;
  };
}

// Every TCP client of Node.js ends here: net, tls, http, https, http2 and fetch. A
// connection that is ours goes to our port without a look-up of its name; TLS still
// names, and checks, the host that was asked for. All others pass as they are. Threads
// that a handler starts have a `net` of their own, which is not changed.
function installRedirect({ port, hosts }) {
  const { Socket } = require('net');
  const direct = director(port, hosts);
  const original = Socket.prototype.connect;
  Socket.prototype.connect = function connect(...args) {
    // As `net` itself hands on: one array of the options and the callback.
    const list = Array.isArray(args[0]) ? args[0] : args;
    const first = list[0];
    const isOptions = typeof first === 'object' && first !== null;
    const given = isOptions ? first : { port: first, host: list[1] };
    // A number is a port; any other text is the path of a Unix socket.
    const isPath = isOptions ? Boolean(given.path) : Number.isNaN(Number(first));
    if (isPath || typeof given.host !== 'string') return original.apply(this, args);
    const name = direct(given.host, given.port);
    if (name === undefined) return original.apply(this, args);
    // What TLS made for itself, and compares the certificate's name with.
    if (name !== given.host && this.encrypted) given.host = name;
    const moved = Object.assign({}, given, { host: '127.0.0.1', port });
    const done = list[list.length - 1];
    return original.apply(this, typeof done === 'function' ? [moved, done] : [moved]);
  };
}

