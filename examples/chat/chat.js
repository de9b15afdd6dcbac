// The routes of the chat. Each may run in any number of processes, so none of
// them remembers anything: who is here is in the table.

import {
  ApiGatewayManagementApiClient,
  GoneException,
  PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';

import { enter, everyone, leave } from './people.js';

const api = new ApiGatewayManagementApiClient({});

/** Sends `message` to all of `people`, and forgets those who have left unseen. */
async function broadcast(people, message) {
  const Data = JSON.stringify(message);
  await Promise.all(people.map(async ({ id }) => {
    try {
      await api.send(new PostToConnectionCommand({ ConnectionId: id, Data }));
    } catch (error) {
      if (!(error instanceof GoneException)) throw error;
      await leave(id);
    }
  }));
}

export async function connect({ requestContext: { connectionId }, queryStringParameters }) {
  const name = queryStringParameters?.name ?? 'somebody';
  await broadcast(await everyone(), { joined: name });
  // Last: nothing can be posted to a connection before its $connect has returned.
  await enter(connectionId, name);
  return { statusCode: 200 };
}

export async function disconnect({ requestContext: { connectionId } }) {
  const person = await leave(connectionId);
  if (person) await broadcast(await everyone(), { left: person.name });
  return { statusCode: 200 };
}

export async function name({ requestContext: { connectionId }, body }) {
  const { name: wanted } = JSON.parse(body);
  await enter(connectionId, wanted);
  return { statusCode: 200, body: JSON.stringify({ you: wanted }) };
}

export async function say({ requestContext: { connectionId }, body }) {
  const { text } = JSON.parse(body);
  const people = await everyone();
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
