// The routes of the chat. Each may run in any number of processes, so none of
// them remembers anything: who is here is the registry's to know.

import {
  ApiGatewayManagementApiClient,
  GoneException,
  PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';

const api = new ApiGatewayManagementApiClient({});
const lambda = new LambdaClient({});

/** Asks the registry; the answer is everyone who is here. */
async function registry(request) {
  const { FunctionError, Payload } = await lambda.send(
    new InvokeCommand({ FunctionName: process.env.REGISTRY, Payload: JSON.stringify(request) }),
  );
  const answer = JSON.parse(Buffer.from(Payload).toString());
  if (FunctionError) throw new Error(`the registry failed: ${answer.errorMessage}`);
  return answer;
}

/** Sends `message` to all of `people`, and forgets those who have left unseen. */
async function broadcast(people, message) {
  const Data = JSON.stringify(message);
  const gone = [];
  await Promise.all(people.map(async ({ id }) => {
    try {
      await api.send(new PostToConnectionCommand({ ConnectionId: id, Data }));
    } catch (error) {
      if (!(error instanceof GoneException)) throw error;
      gone.push(id);
    }
  }));
  if (gone.length > 0) await registry({ leave: gone });
}

export async function connect({ requestContext: { connectionId }, queryStringParameters }) {
  const name = queryStringParameters?.name ?? 'somebody';
  const people = await registry({ join: connectionId, name });
  // The one who joins is not connected before this returns, so the others hear of it.
  await broadcast(people.filter(({ id }) => id !== connectionId), { joined: name });
  return { statusCode: 200 };
}

export async function disconnect({ requestContext: { connectionId } }) {
  const people = await registry({});
  const name = people.find(({ id }) => id === connectionId)?.name ?? 'somebody';
  await broadcast(await registry({ leave: [connectionId] }), { left: name });
  return { statusCode: 200 };
}

export async function name({ requestContext: { connectionId }, body }) {
  const { name: wanted } = JSON.parse(body);
  await registry({ join: connectionId, name: wanted });
  return { statusCode: 200, body: JSON.stringify({ you: wanted }) };
}

export async function say({ requestContext: { connectionId }, body }) {
  const { text } = JSON.parse(body);
  const people = await registry({});
  const from = people.find(({ id }) => id === connectionId)?.name ?? 'somebody';
  await broadcast(people, { from, text });
  return { statusCode: 200 };
}

export async function help() {
  return {
    statusCode: 200,
    body: JSON.stringify({ try: [{ action: 'name', name: 'Ada' }, { action: 'say', text: 'hello' }] }),
  };
}
