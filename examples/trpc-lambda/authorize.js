// Lets everybody in who says who they are. A real one would want a token.

export async function handler({ queryStringParameters: { user }, methodArn }) {
  return {
    principalId: user,
    policyDocument: {
      Version: '2012-10-17',
      Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: methodArn }],
    },
  };
}
