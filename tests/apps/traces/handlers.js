const told = () => process.env._X_AMZN_TRACE_ID;

exports.tell = async (event) => ({ statusCode: 200, body: JSON.stringify({ trace: told(), id: event.requestContext.connectionId }) });

exports.fail = async () => {
  throw new Error('no luck');
};

exports.heard = async () => console.log(`heard in ${told()}`);
