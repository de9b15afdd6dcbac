const { appendFileSync } = require('node:fs');

exports.connect = async () => ({ statusCode: 200 });

/** Writes the id down, one line each: short appends do not mix. */
exports.disconnect = async ({ requestContext }) => {
  appendFileSync(process.env.ENDS, `${requestContext.connectionId}\n`);
  return { statusCode: 200 };
};

/** Tells the client which connection it has; whoever asks for the context gets all of it. */
exports.message = async ({ requestContext, body }) => ({
  statusCode: 200,
  body: body === 'context' ? JSON.stringify(requestContext) : requestContext.connectionId,
});

/** Writes down what was published, one line each. */
exports.heard = async ({ text }) => appendFileSync(`${process.env.ENDS}.heard`, `${text}\n`);
