'use strict';

exports.connect = async ({ headers }) => {
  console.log(`CONNECT ${JSON.stringify({ headers })}`);
  return { statusCode: 200 };
};

exports.disconnect = async ({ requestContext: { connectionId, disconnectStatusCode } }) => {
  console.log(`DISCONNECT ${JSON.stringify({ connectionId, code: disconnectStatusCode })}`);
};

exports.echo = async ({ body }) => ({ statusCode: 200, body });

exports.who = async ({ requestContext: { connectionId } }) => ({
  statusCode: 200,
  body: JSON.stringify({ connectionId }),
});

/** The variables that say whom this process trusts. */
exports.trust = async () => {
  const names = ['NODE_EXTRA_CA_CERTS', 'AWS_CA_BUNDLE', 'REQUESTS_CA_BUNDLE', 'SSL_CERT_FILE'];
  const found = names.map((name) => [name, process.env[name]]);
  return { statusCode: 200, body: JSON.stringify(Object.fromEntries(found)) };
};
