/** Lets in who has a pass for a room that there is: `ROOM:SECRET`. */
export async function handler({ methodArn, queryStringParameters: { pass, name } }) {
  const [room, secret] = pass.split(':');
  const Effect = secret === process.env.SECRET && process.env.ROOMS.split('|').includes(room) ? 'Allow' : 'Deny';
  return {
    principalId: name,
    context: { room },
    policyDocument: { Version: '2012-10-17', Statement: [{ Action: 'execute-api:Invoke', Effect, Resource: methodArn }] },
  };
}
