type Event = { methodArn: string; queryStringParameters?: Record<string, string> };

/** Lets everybody in, but for the cellar. */
export async function handler(event: Event) {
  const { room = "", name = "Somebody" } = event.queryStringParameters ?? {};
  return {
    principalId: name,
    policyDocument: {
      Version: "2012-10-17",
      Statement: [
        { Action: "execute-api:Invoke", Effect: room === "cellar" ? "Deny" : "Allow", Resource: event.methodArn },
      ],
    },
    context: { room, name },
  };
}
