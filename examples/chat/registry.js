// Who is in the chat, in the memory of the one process of this function.

const people = new Map();

/** Takes `{join: id, name}`, `{leave: [id, …]}` or `{}`, and answers who is here. */
export async function handler({ join, name, leave = [] }) {
  if (join) people.set(join, name);
  for (const id of leave) people.delete(id);
  return [...people].map(([id, called]) => ({ id, name: called }));
}
