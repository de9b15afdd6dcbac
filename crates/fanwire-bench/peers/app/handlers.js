// The handlers of the benchmark, written as for AWS.

const { ApiGatewayManagementApiClient, PostToConnectionCommand } = require('@aws-sdk/client-apigatewaymanagementapi')

const management = new ApiGatewayManagementApiClient({})

/** Lets everyone in. */
exports.connect = async () => ({ statusCode: 200 })

/** Answers with the message itself. */
exports.echo = async (event) => ({ statusCode: 200, body: event.body })

/** Answers with the connection's id. */
exports.whoami = async (event) => ({ statusCode: 200, body: event.requestContext.connectionId })

/** Posts `data` to every connection in `to`, all at once, and answers when that is done. */
exports.post = async (event) => {
  const { to, data } = JSON.parse(event.body)
  await Promise.all(to.map((id) => management.send(new PostToConnectionCommand({ ConnectionId: id, Data: data }))))
  return { statusCode: 200, body: 'posted' }
}
