// What the authorizer put into its context is there for every event of the connection.

export async function connect() {
  return { statusCode: 200 };
}

export async function whoami({ requestContext: { authorizer }, body }) {
  const { principalId, room, staff } = authorizer;
  return { statusCode: 200, body: `${principalId}${staff === 'true' ? ' (staff)' : ''} in ${room}: ${body}` };
}
