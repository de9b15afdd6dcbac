'use strict';

const lamps = new Map();

/** Turns the lamp of a room on, or off again. */
exports.handler = async ({ body, stageVariables: { owner } }) => {
  const { room } = JSON.parse(body);
  lamps.set(room, !lamps.get(room));
  return { statusCode: 200, body: `${owner}'s lamp in the ${room} is ${lamps.get(room) ? 'on' : 'off'}` };
};
