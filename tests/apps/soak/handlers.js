/** Answers with the connection's id and what it said. */
exports.echo = async ({ requestContext, body }) => ({
  statusCode: 200,
  body: JSON.stringify({ connectionId: requestContext.connectionId, body }),
});

/** Ends its process in the middle of an event. */
exports.crash = async () => process.exit(3);

exports.heard = async () => {};
